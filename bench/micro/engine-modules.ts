import { createRequire } from 'node:module';
import * as path from 'node:path';

import { afunixRoot } from '../places.js';

/** The parts of the built library that are measured by themselves; they are not public. */
export interface ChunksModule {
  chunkFromArea(offset: number, length: number): Buffer;
  chunkFromSlab(index: number, length: number): Buffer;
}

export interface HandleOwner {
  writeOutcome: number;
  settling: boolean;
  unflushed: number;
  awaitsWrite: boolean;
  blocked: boolean;
  onData(offset: number, length: number): void;
  onWritten(status: number): void;
}

export interface EngineModule {
  sendArea: Buffer;
  own(handle: number, owner: HandleOwner): void;
  reserve(length: number): number;
  submitWrite(handle: number, owner: HandleOwner, length: number): void;
  flush(): void;
}

export interface RecordsModule {
  SUBMISSION: { handle: number; kind: number; offset: number; length: number; width: number };
  COMPLETION: { handle: number; kind: number; offset: number; result: number; width: number };
  SUBMISSION_CAPACITY: number;
  Happened: { data: number };
}

const requireBuilt = createRequire(__filename);

function built(name: string): string {
  return path.join(afunixRoot, 'dist', `${name}.js`);
}

/** Loads a module of the library; says so when the library has changed under the benchmark. */
function load<T extends object>(name: string, needed: readonly (keyof T & string)[]): T {
  const module = requireBuilt(built(name)) as T;
  for (const key of needed) {
    if (!(key in module)) throw new Error(`${name} no longer has ${key}, which is measured here`);
  }
  return module;
}

export function loadChunks(): ChunksModule {
  return load<ChunksModule>('engine/chunks', ['chunkFromArea', 'chunkFromSlab']);
}

export function loadEngine(): EngineModule {
  return load<EngineModule>('engine/engine', [
    'sendArea',
    'own',
    'reserve',
    'submitWrite',
    'flush',
  ]);
}

export function loadRecords(): RecordsModule {
  return load<RecordsModule>('engine/records', [
    'SUBMISSION',
    'COMPLETION',
    'SUBMISSION_CAPACITY',
    'Happened',
  ]);
}

/** Puts `exports` where the library looks for its addon; before anything else is loaded. */
export function replaceBinding(exports: object): void {
  const file = built('binding');
  requireBuilt(file);
  const module = requireBuilt.cache[file];
  if (!module) throw new Error('the binding was not loaded as a module');
  module.exports = exports;
}
