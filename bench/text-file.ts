import { readFileSync } from 'node:fs';

/** What a small file of the system says, without blanks around it; undefined where there is none. */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
