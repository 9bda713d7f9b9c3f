/** The kinds of programs that there are. */
import { generate } from './generate';
import { Performance, type World } from './perform';
import type { SocketProgram } from './program';
import type { Recording } from './recorder';

export type Program = SocketProgram;

export const kindNames: readonly string[] = ['sockets'];

/** The program with this number. */
export function make(seed: number, number: number, _kinds: readonly string[] = kindNames): Program {
  return generate(seed, number);
}

export function perform(world: World, program: Program): Promise<Recording> {
  return new Performance(world, program).run();
}
