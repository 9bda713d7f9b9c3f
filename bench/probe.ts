import { Child } from './child.js';
import { contenderById } from './contenders/index.js';
import type { Options } from './options.js';

const DEADLINE_MS = 10_000;

export interface Probed {
  /** Contenders that can run here. */
  usable: Set<string>;
  /** What each of them says about itself. */
  records: Record<string, unknown>;
  /** Why the others cannot. */
  notices: string[];
}

/** Asks each contender that is wanted, in a process of its own, whether it can run here. */
export async function probeContenders(options: Options): Promise<Probed> {
  const { contenders, leftOut, workloads } = options;
  const concerned = (id: string): boolean =>
    workloads.some((workload) => workload.contenders.includes(id));
  const records: Record<string, unknown> = {};
  const unusable = new Map<string, string[]>();
  for (const id of contenders) {
    if (!concerned(id)) continue;
    try {
      records[id] = await probe(id);
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0];
      unusable.set(reason, [...(unusable.get(reason) ?? []), id]);
    }
  }
  const notices = [...unusable].map(([reason, ids]) => `${ids.join(', ')} did not run: ${reason}`);
  const unasked = leftOut.filter(concerned);
  if (unasked.length > 0) {
    notices.push(`${unasked.join(', ')} did not run: they do with --all, which takes longer`);
  }
  return { usable: new Set(Object.keys(records)), records, notices };
}

async function probe(contender: string): Promise<unknown> {
  const child = new Child('probe', contenderById(contender).launch([]));
  const deadline = setTimeout(() => void child.kill('probing took too long'), DEADLINE_MS);
  try {
    return await child.call('probe', contender);
  } finally {
    clearTimeout(deadline);
    await child.kill();
  }
}
