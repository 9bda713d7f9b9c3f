const HEAD_END = '\r\n\r\n';

/**
 * Reads HTTP/1.1 responses off one keep-alive connection, as much of the protocol as a client
 * needs whose server always sends `content-length`. Throws on anything else.
 */
export class HttpResponseReader {
  private pending: Buffer | undefined;

  constructor(private readonly onResponse: (status: number, body: Buffer) => void) {}

  push(chunk: Buffer): void {
    let bytes = this.pending ? Buffer.concat([this.pending, chunk]) : chunk;
    this.pending = undefined;
    while (bytes.length > 0) {
      const headLength = bytes.indexOf(HEAD_END);
      const length = headLength < 0 ? Infinity : responseLength(bytes, headLength);
      if (bytes.length < length) {
        this.pending = bytes;
        return;
      }
      const body = bytes.subarray(headLength + HEAD_END.length, length);
      this.onResponse(Number(bytes.toString('latin1', 9, 12)), body);
      bytes = bytes.subarray(length);
    }
  }
}

/** Bytes of the whole response whose head ends at `headLength`. */
function responseLength(bytes: Buffer, headLength: number): number {
  const head = bytes.toString('latin1', 0, headLength);
  const contentLength = /\r\ncontent-length: *(\d+)/i.exec(head);
  if (!head.startsWith('HTTP/1.1 ') || !contentLength) {
    throw new Error(`not a response with content-length: ${head.slice(0, 80)}`);
  }
  return headLength + HEAD_END.length + Number(contentLength[1]);
}
