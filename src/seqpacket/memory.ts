/** The memory that this thread's message sockets share with the engine, made with the first of them. */
import type { MessageMemory } from '../binding';
import { receiveMemory, type ReceiveMemory } from '../engine/chunks';
import { engine, outgoing, startEngine } from '../engine/engine';
import { MESSAGE_AREA_SIZE, MESSAGE_ROWS, RECEIVED } from '../engine/records';

/** The table of received messages, column by column; valid until the batch of events is over. */
export const received: Int32Array = new Int32Array(RECEIVED.width * MESSAGE_ROWS);

/** Where each column begins. */
export const OFFSETS = RECEIVED.offset * MESSAGE_ROWS;
export const LENGTHS = RECEIVED.length * MESSAGE_ROWS;
export const FULL_LENGTHS = RECEIVED.fullLength * MESSAGE_ROWS;
export const FLAGS = RECEIVED.flags * MESSAGE_ROWS;
export const DESCRIPTOR_COUNTS = RECEIVED.descriptorCount * MESSAGE_ROWS;
export const DESCRIPTOR_PLACES = RECEIVED.descriptorPlace * MESSAGE_ROWS;
export const PEERS = RECEIVED.peer * MESSAGE_ROWS;

let shared: ReceiveMemory | null = null;
let ready = false;

/** What messages are received into that nobody borrows. */
export function messageMemory(): ReceiveMemory {
  shared ??= receiveMemory(MESSAGE_AREA_SIZE);
  return shared;
}

/** 0, or −errno if there can be no engine now; it can be tried again. */
export function startMessages(): number {
  if (ready) return 0;
  const status = startEngine();
  if (status < 0) return status;
  const memory: MessageMemory = { area: messageMemory().bytes, received, outgoing };
  const given = engine().setMessageMemory(memory);
  if (given === 0) ready = true;
  return given;
}
