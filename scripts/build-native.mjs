// Builds the addon into build/Release, or build/Debug with --debug. Compiles only what changed.
import process from 'node:process';
import { fail, nodeGyp, root } from './util.mjs';

const unknown = process.argv.slice(2).filter((argument) => argument !== '--debug');
if (unknown.length > 0) fail(`build-native: unknown argument ${unknown.join(' ')}`);
const mode = process.argv.includes('--debug') ? '--debug' : '--release';

if (process.platform === 'linux') {
  nodeGyp(root, ['configure', 'build', mode, '--loglevel=warn']);
} else {
  console.log(
    `The addon is for Linux; on ${process.platform} afunix is node:net. Nothing to build.`,
  );
}
