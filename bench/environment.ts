import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

/** Everything about the machine and the build that a number depends on and that can be read. */
export interface Environment {
  cpu: string;
  cores: number;
  memory: number;
  governor?: string;
  virtualisation?: string;
  kernel: string;
  platform: string;
  node: string;
  v8?: string;
  libuv?: string;
  commit: string;
  /** AFUNIX_* and NODE_OPTIONS, which change what is measured. */
  variables: Record<string, string>;
}

/** How busy the machine is, with and without us. */
export interface MachineLoad {
  loadAverage: number[];
  /** Seconds of all cores that the hypervisor gave to others since boot. */
  stolenSeconds?: number;
}

/** The package: two folders above the compiled file. */
export const packageRoot = path.resolve(__dirname, '../..');

export function describeEnvironment(): Environment {
  const variables = Object.entries(process.env).filter(
    ([name, value]) =>
      value !== undefined && (name.startsWith('AFUNIX_') || name === 'NODE_OPTIONS'),
  ) as [string, string][];
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memory: os.totalmem(),
    governor: readText('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor'),
    virtualisation: virtualisation(),
    kernel: `${os.type()} ${os.release()}`,
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    libuv: process.versions.uv,
    commit: commit(),
    variables: Object.fromEntries(variables),
  };
}

export function measureLoad(): MachineLoad {
  const stolen = /^cpu +(?:\d+ +){7}(\d+)/m.exec(readText('/proc/stat') ?? '');
  const ticksPerSecond = 100; // The kernel's USER_HZ, the same on every architecture Node runs on.
  return {
    loadAverage: os.loadavg(),
    stolenSeconds: stolen ? Number(stolen[1]) / ticksPerSecond : undefined,
  };
}

/** Short hash of the checkout, marked when files differ from it; only ever reads. */
function commit(): string {
  try {
    const hash = git('rev-parse', '--short', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') ? `${hash}-modified` : hash;
  } catch {
    return 'no-commit';
  }
}

function git(...args: string[]): string {
  return execFileSync('git', ['--no-optional-locks', ...args], {
    cwd: packageRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

/** Who virtualises, as far as the guest can tell; undefined on bare metal. */
function virtualisation(): string | undefined {
  if (!/^flags\s*:.*\bhypervisor\b/m.test(readText('/proc/cpuinfo') ?? '')) {
    return readText('/sys/hypervisor/type');
  }
  const maker = readText('/sys/class/dmi/id/sys_vendor');
  return maker ? `virtual machine (${maker})` : 'virtual machine';
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
