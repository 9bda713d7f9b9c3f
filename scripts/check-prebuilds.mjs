// The gate before publishing: every binary is there, is what its name says, and asks for no newer
// glibc than Node's own binaries do.
import fs from 'node:fs';
import path from 'node:path';
import { fail, filesUnder, root } from './util.mjs';

const machines = { x64: 62, arm64: 183 };
const newestGlibc = [2, 28];

const files = filesUnder('prebuilds');
const wrong = [];
for (const [arch, machine] of Object.entries(machines)) {
  for (const libc of ['glibc', 'musl']) {
    const name = `prebuilds/linux-${arch}/afunix.uv1.${libc}.node`;
    if (!files.includes(name)) {
      wrong.push(`${name}: missing`);
      continue;
    }
    const binary = fs.readFileSync(path.join(root, name));
    if (binary.readUInt16LE(18) !== machine) wrong.push(`${name}: not for ${arch}`);
    const text = binary.toString('latin1');
    const versions = [...text.matchAll(/GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [
      Number(major),
      Number(minor),
    ]);
    if ((libc === 'glibc') !== versions.length > 0) wrong.push(`${name}: not linked with ${libc}`);
    const newest = versions.sort((a, b) => a[0] - b[0] || a[1] - b[1]).at(-1);
    if (newest && (newest[0] - newestGlibc[0] || newest[1] - newestGlibc[1]) > 0) {
      wrong.push(`${name}: needs glibc ${newest.join('.')}; the limit is ${newestGlibc.join('.')}`);
    }
  }
}
const extra = files.filter(
  (file) => !/^prebuilds\/linux-(x64|arm64)\/afunix\.uv1\.(glibc|musl)\.node$/.test(file),
);
wrong.push(...extra.map((file) => `${file}: not expected`));
if (wrong.length > 0) fail(`check-prebuilds:\n  ${wrong.join('\n  ')}`);
console.log(`check-prebuilds: ${files.length} binaries in order`);
