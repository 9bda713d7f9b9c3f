/** `stream.compose()`, which Node has and these types of it do not know. */
import stream, { type Duplex } from 'node:stream';

type Compose = (...streams: readonly unknown[]) => Duplex;

export const compose: Compose = (stream as unknown as { readonly compose: Compose }).compose;
