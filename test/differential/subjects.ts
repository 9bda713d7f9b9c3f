/** The processes that perform programs, seen from their parent. */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Program } from './kinds';
import type { Recording } from './recorder';
import type { Answer, Request, Way } from './subject';

export type Engine = 'epoll' | 'io_uring';

export interface SubjectName {
  readonly way: Way;
  readonly engine?: Engine;
}

/** A batch that takes longer hangs. */
const DEADLINE = 60_000;

export class SubjectFailure extends Error {}

export class Subject {
  readonly title: string;
  private child: ChildProcess | undefined;
  private errors = '';

  constructor(
    readonly name: SubjectName,
    private readonly node: string,
  ) {
    this.title = name.engine === undefined ? name.way : `${name.way}/${name.engine}`;
  }

  /** What was seen of one program of the last batch. */
  async recording(place: number): Promise<Recording> {
    const answer = await this.ask({ do: 'recordings', places: [place] });
    if (!('recordings' in answer)) throw new SubjectFailure(JSON.stringify(answer));
    return answer.recordings[0];
  }

  async record(program: Program): Promise<Recording> {
    await this.digests({ do: 'programs', programs: [program] });
    return this.recording(0);
  }

  stop(): void {
    this.child?.removeAllListeners();
    this.child?.kill('SIGKILL');
    this.child = undefined;
  }

  /** One for each program of a batch; the same ones mean that the same was seen. */
  async digests(request: Request): Promise<readonly string[]> {
    const answer = await this.ask(request);
    if (!('digests' in answer))
      throw new SubjectFailure(`${this.title}: ${JSON.stringify(answer)}`);
    return answer.digests;
  }

  private ask(request: Request): Promise<Answer> {
    const child = (this.child ??= this.start());
    return new Promise((resolve, reject) => {
      const fail = (how: string): void => {
        this.stop();
        reject(new SubjectFailure(`${this.title} ${how}\n${this.errors}`));
      };
      const deadline = setTimeout(() => fail(`has not answered for ${DEADLINE} ms`), DEADLINE);
      const onExit = (code: number | null, signal: string | null): void => {
        clearTimeout(deadline);
        fail(`has ended with ${String(code ?? signal)}`);
      };
      child.once('exit', onExit);
      child.once('message', (answer: Answer) => {
        clearTimeout(deadline);
        child.off('exit', onExit);
        resolve(answer);
      });
      child.send(request);
    });
  }

  private start(): ChildProcess {
    const { way, engine } = this.name;
    const preload = way === 'register' ? ['--require', 'afunix/register'] : [];
    const child = fork(join(__dirname, 'subject.js'), [way], {
      execPath: this.node,
      execArgv: preload,
      env: { ...process.env, NODE_OPTIONS: '', AFUNIX_ENGINE: engine ?? 'auto' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-4_000);
    });
    return child;
  }
}
