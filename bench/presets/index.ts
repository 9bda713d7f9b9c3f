import { nearest } from '../nearest.js';
import { UsageError } from '../usage.js';
import { behindNginxPreset } from './behind-nginx.js';
import { connections1000 } from './connections-1000.js';
import { goPingPong } from './go-ping-pong.js';
import { librariesPreset } from './libraries.js';
import { novelPreset } from './novel.js';
import type { Preset } from './preset.js';
import { relayPreset } from './relay.js';

export const presets: readonly Preset[] = [
  connections1000,
  goPingPong,
  novelPreset,
  relayPreset,
  behindNginxPreset,
  librariesPreset,
];

export function presetById(id: string): Preset {
  const found = presets.find((preset) => preset.id === id);
  if (found) return found;
  const known = presets.map((preset) => preset.id);
  throw new UsageError(`no preset is called '${id}'; did you mean '${nearest(id, known)}'?`);
}
