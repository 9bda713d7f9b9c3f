import type { MicroSuite } from './micro-suite.js';
import { recordEncoding } from './record-encoding.js';
import { slabSlicing } from './slab-slicing.js';
import { writePath } from './write-path.js';

export const suites: readonly MicroSuite[] = [recordEncoding, slabSlicing, writePath];

export function suiteById(id: string): MicroSuite {
  const found = suites.find((suite) => suite.id === id);
  if (!found) throw new Error(`no suite is called '${id}'`);
  return found;
}
