// What `afunix/register` adds to the start of a program, and to its first use of a path:
//
//   node scripts/startup-cost.mjs [runs]          (40 if it is not said; on a quiet machine)
//
// Programs take turns, so that what slows the machine for a moment slows all of them. Printed are medians: of each whole process's CPU time, user
// and system, up to its end, and of the time that it took.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fail, root } from './util.mjs';

const runs = Number(process.argv[2] ?? 40);
const folder = mkdtempSync(path.join(os.tmpdir(), 'afu-start-'));
const socket = path.join(folder, 's');

const net = "const net = require('node:net');";
const uses = {
  nothing: '',
  connect: `${net} net.connect(process.argv[1]).resume();`,
  listen: `${net} const server = net.createServer().listen(process.argv[1] + process.pid, () => server.close());`,
};
const told = `process.on('exit', () => {
  const { user, system } = process.cpuUsage();
  console.log(user + system);
});`;
const programs = Object.entries(uses).flatMap(([name, code]) => [
  { name, registered: false, code, cpu: [], wall: [] },
  { name, registered: true, code, cpu: [], wall: [] },
]);

/** Milliseconds. */
function run({ registered, code, cpu, wall }) {
  const began = process.hrtime.bigint();
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...(registered ? ['--import', 'afunix/register'] : []), '-e', told + code, socket],
    { cwd: root, encoding: 'utf8' },
  );
  if (status !== 0) fail(`startup-cost: ${stderr}`);
  wall.push(Number(process.hrtime.bigint() - began) / 1e6);
  cpu.push(Number(stdout) / 1e3);
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const serve = `${net} net.createServer((s) => s.end()).listen(process.argv[1], () => console.log('ready'));`;
const peer = spawn(process.execPath, ['-e', serve, socket], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
try {
  await new Promise((resolve) => peer.stdout.once('data', resolve));
  for (const program of programs) run(program);
  for (const program of programs) program.cpu.length = program.wall.length = 0;
  for (let i = 0; i < runs; i += 1) {
    for (const program of programs) run(program);
  }
} finally {
  peer.kill();
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `Node ${process.versions.node}, load ${os.loadavg()[0].toFixed(1)}, ${runs} runs each; milliseconds`,
);
for (const name of Object.keys(uses)) {
  const [plain, registered] = programs.filter((program) => program.name === name);
  const line = ['cpu', 'wall'].map((what) => {
    const [before, after] = [median(plain[what]), median(registered[what])];
    return `${what} ${before.toFixed(1)} -> ${after.toFixed(1)} (+${(after - before).toFixed(1)})`;
  });
  console.log(`${name.padEnd(8)} ${line.join('   ')}`);
}
