import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';

import { cgroupLimits, type CgroupLimits } from './cgroup.js';
import { afunixRoot, isCheckout, packageRoot } from './places.js';
import { readText } from './text-file.js';

/** Everything about the machine and the build that a number depends on and that can be read. */
export interface Environment {
  cpu: string;
  cores: number;
  memory: number;
  governor?: string;
  /** Whether the clock rate may rise above the nominal one. */
  turbo?: string;
  virtualisation?: string;
  /** What the kernel does about each flaw of the processor. */
  mitigations: Record<string, string>;
  cgroup: CgroupLimits;
  /** What the kernel was started with, where that is about measuring: isolcpus, mitigations, ... */
  bootOptions: string[];
  /** Bytes; the kernel's defaults for what a socket may hold. */
  socketBuffers: Record<string, number>;
  kernel: string;
  platform: string;
  node: string;
  v8?: string;
  afunix: string;
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
    turbo: turbo(),
    virtualisation: virtualisation(),
    mitigations: mitigations(),
    cgroup: cgroupLimits(),
    bootOptions: (readText('/proc/cmdline') ?? '')
      .split(' ')
      .filter((option) => CONCERNS.test(option)),
    socketBuffers: socketBuffers(),
    kernel: `${os.type()} ${os.release()}`,
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    v8: process.versions.v8,
    afunix: afunixVersion(),
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

/** Boot options that change what is measured. */
const CONCERNS =
  /^(isolcpus|nohz_full|rcu_nocbs|mitigations|idle|intel_pstate|amd_pstate|nosmt|spec)/;

function turbo(): string | undefined {
  const boost = readText('/sys/devices/system/cpu/cpufreq/boost');
  const noTurbo = readText('/sys/devices/system/cpu/intel_pstate/no_turbo');
  if (boost === undefined && noTurbo === undefined) return undefined;
  return boost === '1' || noTurbo === '0' ? 'on' : 'off';
}

function mitigations(): Record<string, string> {
  const folder = '/sys/devices/system/cpu/vulnerabilities';
  try {
    return Object.fromEntries(
      readdirSync(folder).flatMap((name) => {
        const state = readText(path.join(folder, name));
        return state === undefined || state === 'Not affected' ? [] : [[name, state]];
      }),
    );
  } catch {
    return {};
  }
}

function socketBuffers(): Record<string, number> {
  const names = ['rmem_default', 'wmem_default', 'somaxconn'];
  return Object.fromEntries(
    names.map((name) => [name, Number(readText(`/proc/sys/net/core/${name}`))]),
  );
}

function afunixVersion(): string {
  const manifest = readText(path.join(afunixRoot, 'package.json'));
  return manifest === undefined ? 'unknown' : (JSON.parse(manifest) as { version: string }).version;
}

/** Short hash of the checkout, marked when files differ from it; only ever reads. */
function commit(): string {
  // Of whatever repository an installed package lies in, the commit would say nothing.
  if (!isCheckout) return `afunix-${afunixVersion()}`;
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
