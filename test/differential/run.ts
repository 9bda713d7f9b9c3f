/** One run: batches of programs over all subjects, and what is made of each difference. */
import { differences, exact, headline, laneOf, signature, type Difference } from './compare';
import { kindNames, make, type Program } from './kinds';
import { readMeant, rowOf } from './meant';
import type { Recording } from './recorder';
import { shrink } from './shrink';
import { Subject, SubjectFailure, type SubjectName } from './subjects';

export interface RunOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly programs: number;
  readonly from: number;
  readonly only: readonly string[] | undefined;
  readonly kinds: readonly string[] | undefined;
  readonly node: string;
  readonly findings: number;
}

const everyone: readonly SubjectName[] = [
  { way: 'import', engine: 'epoll' },
  { way: 'import', engine: 'io_uring' },
  { way: 'register', engine: 'epoll' },
  { way: 'register', engine: 'io_uring' },
];

/** Programs that a process performs before it is asked for what it saw. */
const BATCH = 50;
/** Times that a program is performed again over `net`, to see whether what it shows varies there. */
const REPETITIONS = 4;
/** Lines of a lane that are shown before and behind a difference. */
const CONTEXT = 12;

export class Run {
  private readonly net: Subject;
  /** Performs again, while the other still knows what it saw. */
  private readonly spare: Subject;
  private readonly subjects: readonly Subject[];
  private readonly meant = readMeant();
  private readonly found = new Map<string, number>();
  /** How often each row explained a difference. */
  private readonly explained = new Map<string, number>();
  private performed = 0;

  constructor(private readonly options: RunOptions) {
    const { node, only, kinds } = options;
    for (const kind of kinds ?? [])
      if (!kindNames.includes(kind))
        throw new Error(`--kind: ${kindNames.join(', ')}, not ${kind}`);
    this.net = new Subject({ way: 'net' }, node);
    this.spare = new Subject({ way: 'net' }, node);
    this.subjects = everyone
      .map((name) => new Subject(name, node))
      .filter(({ title }) => only === undefined || only.includes(title));
    if (this.subjects.length === 0) throw new Error('--only: there is no such subject');
  }

  /** Whether there was no difference. */
  async go(): Promise<boolean> {
    const { seconds, from, programs } = this.options;
    const until = performance.now() + seconds * 1_000;
    try {
      for (let number = from; number < from + programs; number += BATCH) {
        if (performance.now() > until) break;
        await this.batch(number, Math.min(BATCH, from + programs - number));
        if (this.found.size >= this.options.findings) break;
      }
    } finally {
      for (const subject of [this.net, this.spare, ...this.subjects]) subject.stop();
    }
    this.report();
    return this.found.size === 0;
  }

  private async batch(from: number, count: number): Promise<void> {
    const { seed, kinds } = this.options;
    const request = { do: 'numbers', seed, from, count, kinds } as const;
    const [expected, ...actual] = await Promise.all(
      [this.net, ...this.subjects].map((subject) =>
        subject.digests(request).catch((error: unknown) => error as Error),
      ),
    );
    if (expected === undefined || expected instanceof Error) throw expected;
    this.performed += count;
    for (const [index, subject] of this.subjects.entries()) {
      const digests = actual[index];
      if (digests === undefined || digests instanceof Error) {
        this.note(
          `${subject.title} failed`,
          `programs ${from} to ${from + count - 1}: ${digests?.message}`,
        );
        continue;
      }
      for (let place = 0; place < count; place += 1) {
        if (digests[place] === expected[place]) continue;
        await this.look(subject, from + place, place);
      }
    }
  }

  /** What one subject saw of a program is not what `net` saw. */
  private async look(subject: Subject, number: number, place: number): Promise<void> {
    const expected = await this.net.recording(place);
    const actual = await subject.recording(place);
    const [difference] = this.unexplained(expected, actual, true);
    if (difference === undefined) return;
    const program = make(this.options.seed, number, this.options.kinds);
    if (await this.varies(program, difference)) return;
    const kind = `${subject.title} ${signature(difference)}`;
    if (this.found.has(kind)) {
      this.found.set(kind, this.found.get(kind)! + 1);
      return;
    }
    const title = `program ${number} of seed ${this.options.seed}, ${subject.title}`;
    this.note(kind, `${title}\n${headline(difference)}`);
    // Others of the batch are looked at later.
    await this.showShortest(program, difference, subject);
  }

  /** Differences that no row explains. */
  private unexplained(expected: Recording, actual: Recording, count = false): Difference[] {
    const all = differences(expected, actual);
    // What comes later may come of it.
    const [first] = all.sort((a, b) => a.expected.position - b.expected.position);
    if (first === undefined) return [];
    const row = rowOf(first, this.meant);
    if (row === undefined) return [first];
    if (count) this.explained.set(row, (this.explained.get(row) ?? 0) + 1);
    return [];
  }

  /** Whether `net` shows now one, now the other. */
  private async varies(program: Program, { lane, actual }: Difference): Promise<boolean> {
    const text = (recording: Recording): string => laneOf(recording, lane).map(exact).join('\n');
    for (let time = 0; time < REPETITIONS; time += 1)
      if (text(await this.spare.record(program)) === text(actual.recording)) return true;
    return false;
  }

  private async showShortest(
    program: Program,
    found: Difference,
    { name }: Subject,
  ): Promise<void> {
    const subject = new Subject(name, this.options.node);
    const show = async (candidate: Program): Promise<Difference | undefined> => {
      const [expected, actual] = [
        await this.spare.record(candidate),
        await subject.record(candidate),
      ];
      const all = this.unexplained(expected, actual);
      return all.find((difference) => signature(difference) === signature(found));
    };
    try {
      if ((await show(program)) === undefined) {
        console.log('  (not by itself: what comes before it in its batch is needed, or chance)');
        return;
      }
      const shortest = await shrink(
        program,
        async (candidate) => (await show(candidate)) !== undefined,
      );
      const difference = await show(shortest);
      console.log(`  ${JSON.stringify(shortest)}`);
      if (difference !== undefined) print(difference);
    } catch (error) {
      if (!(error instanceof SubjectFailure)) throw error;
      console.log(`  (making it shorter: ${error.message})`);
    } finally {
      subject.stop();
    }
  }

  private note(kind: string, text: string): void {
    this.found.set(kind, (this.found.get(kind) ?? 0) + 1);
    console.log(`\nDIFFERENCE: ${text}`);
  }

  private report(): void {
    console.log(
      `\n${this.performed} programs, each over net and ${this.subjects.map(({ title }) => title).join(', ')}`,
    );
    for (const [row, count] of this.explained) console.log(`  meant, ${count} times: ${row}`);
    for (const [kind, count] of this.found) console.log(`  ${count} times: ${kind}`);
    if (this.found.size === 0) console.log('No difference.');
  }
}

function print({ lane, expected, actual }: Difference): void {
  for (const [who, { entries, place }] of Object.entries({ net: expected, afunix: actual })) {
    console.log(`  ${lane} over ${who}`);
    for (
      let line = Math.max(0, place - CONTEXT);
      line < Math.min(entries.length, place + 5);
      line += 1
    )
      console.log(`   ${line === place ? '>' : ' '}${exact(entries[line])}`);
  }
}
