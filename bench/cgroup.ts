import { readText } from './text-file.js';

/** What the control group, often a container's, allows this process. */
export interface CgroupLimits {
  /** Cores' worth of CPU time. */
  cpus?: number;
  /** Bytes. */
  memory?: number;
  tasks?: number;
}

/** Limits of this process's group and of those above it, the smallest of each; v2 only. */
export function cgroupLimits(): CgroupLimits {
  const own = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup') ?? '')?.[1];
  const limits: CgroupLimits = {};
  if (own === undefined) return limits;
  const lower = (name: keyof CgroupLimits, value: number): void => {
    if (Number.isFinite(value)) limits[name] = Math.min(limits[name] ?? Infinity, value);
  };
  const names = own.split('/').filter(Boolean);
  for (let depth = names.length; depth >= 0; depth--) {
    const folder = ['/sys/fs/cgroup', ...names.slice(0, depth)].join('/');
    const [quota, period] = (readText(`${folder}/cpu.max`) ?? '').split(' ').map(Number);
    lower('cpus', quota / period);
    lower('memory', Number(readText(`${folder}/memory.max`)));
    lower('tasks', Number(readText(`${folder}/pids.max`)));
  }
  return limits;
}
