/** What a message socket emits. */
import type { MessageInfo } from './batch';

export interface SocketEvents {
  connect: [];
  ready: [];
  message: [message: Buffer, info: MessageInfo];
  drain: [];
  end: [];
  finish: [];
  timeout: [];
  error: [error: Error];
  close: [hadError: boolean];
}
