/**
 * Addresses of either kind in one string, so that a program leaves the host by a change of its settings: `unix:/run/app.sock` and
 * `tcp://host:port`. The forms of `unix:` are those of gRPC (https://grpc.github.io/grpc/core/md_doc_naming.html) and of nginx.
 */
import net from 'node:net';
import { isAbstract } from './address';
import { wrongType, wrongValue } from './checks';

/** What `connect()` and `listen()` take, of `net` as well. */
export type Address =
  | { path: string; host?: undefined; port?: undefined }
  | { path?: undefined; host: string; port: number };

const UNIX = 'unix:';
const ABSTRACT = 'unix-abstract:';
const TCP = 'tcp://';
const MOST_PORT = 65_535;

function refuse(text: string, why: string): never {
  throw wrongValue('address', text, why);
}

/**
 * The address that `text` names: `unix:/path`, `unix:path` (relative), `unix:///path`, `unix:@name` or `unix-abstract:name`, `tcp://host:port`,
 * `tcp://[IPv6]:port`; or a pathname that begins with `/`, `./` or `../`, or an abstract name behind a NUL. Nothing is
 * decoded: what stands behind the scheme is the path, to the byte. Throws ERR_INVALID_ARG_VALUE for anything else.
 */
export function parseAddress(text: string): Address {
  if (typeof text !== 'string') throw wrongType('address', 'of type string', text);
  if (text.startsWith(TCP)) return parseTcp(text);
  if (text.startsWith(ABSTRACT)) return abstract(text, text.slice(ABSTRACT.length));
  if (text.startsWith(UNIX)) return parseUnix(text);
  if (/^(?:\.{0,2}\/|\0)/.test(text)) return { path: text };
  return refuse(
    text,
    "must be 'unix:/path', 'unix-abstract:name', 'tcp://host:port', or a pathname that begins with '/' or './'",
  );
}

function parseUnix(text: string): Address {
  const rest = text.slice(UNIX.length);
  if (rest === '') return refuse(text, "must have a path behind 'unix:'");
  if (rest.startsWith('@')) return abstract(text, rest.slice(1));
  if (!rest.startsWith('//')) return { path: rest };
  if (!rest.startsWith('///')) {
    return refuse(text, "names no host: write 'unix:/path', or 'unix:///path' with three slashes");
  }
  return { path: rest.slice(2) };
}

function abstract(text: string, name: string): Address {
  if (name === '') return refuse(text, 'must have the name of an abstract address');
  return { path: `\0${name}` };
}

function parseTcp(text: string): Address {
  const rest = text.slice(TCP.length);
  const [, host = '', behind = ''] = /^(\[[^\]]*\]|[^:/?#]*)(.*)$/s.exec(rest) ?? [];
  if (/^:[^:]*:/.test(behind)) {
    return refuse(text, "must have IPv6 addresses in brackets: 'tcp://[::1]:port'");
  }
  if (host === '') {
    return refuse(
      text,
      "must name a host; 'tcp://0.0.0.0:port' or 'tcp://[::]:port' is every address of this one",
    );
  }
  const port = /^:(\d{1,5})$/.exec(behind)?.[1];
  if (port === undefined || Number(port) > MOST_PORT) {
    return refuse(text, `must end with its port, ':0' to ':${MOST_PORT}', and nothing behind it`);
  }
  return { host: hostOf(text, host), port: Number(port) };
}

function hostOf(text: string, host: string): string {
  if (!host.startsWith('[')) {
    return /[@\s[\]\0]/.test(host) ? refuse(text, 'must have a host name or an IP address') : host;
  }
  const inside = host.slice(1, -1);
  return net.isIPv6(inside) ? inside : refuse(text, 'must have an IPv6 address in its brackets');
}

/** What `server.address()` gives. */
export type ListeningAddress = string | Pick<net.AddressInfo, 'address' | 'port'>;

/** The string that `parseAddress()` reads as `address`: what a server gives to its clients. */
export function formatAddress(address: ListeningAddress | Address): string {
  if (typeof address === 'string') return formatPath(address);
  if (typeof address === 'object' && (address as unknown) !== null) {
    if ('path' in address && address.path !== undefined) return formatPath(address.path);
    const host = 'address' in address ? address.address : (address as { host?: string }).host;
    if (host !== undefined && address.port !== undefined) {
      return `${TCP}${net.isIPv6(host) ? `[${host}]` : host}:${address.port}`;
    }
  }
  throw wrongType(
    'address',
    'a path, or an object with a path, or with a port and a host',
    address,
  );
}

function formatPath(path: string): string {
  if (typeof path !== 'string') throw wrongType('address.path', 'of type string', path);
  if (path === '') return refuse(path, 'must not be empty');
  if (isAbstract(path)) return `${ABSTRACT}${path.slice(1)}`;
  if (path.startsWith('//')) return `${UNIX}//${path}`;
  return path.startsWith('@') ? `${UNIX}./${path}` : `${UNIX}${path}`;
}

/**
 * The arguments of `connect` and `listen` with an address in the place of a string that names one. As strings of their own only
 * `unix:/…` and `tcp://…` do, which for `net` would be in a folder called `unix:` or `tcp:`; all others stay the paths that they are for `net`.
 */
export function withAddress(args: readonly unknown[]): readonly unknown[] {
  const [first, ...others] = args;
  if (typeof first !== 'string' || !/^(?:unix:\/|tcp:\/\/)/.test(first)) return args;
  return [parseAddress(first), ...others];
}
