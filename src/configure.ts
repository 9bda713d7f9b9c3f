/** Settings of this thread, from `configure()` and from the environment. */
import { native } from './binding';
import { checkBusyPoll } from './busy-poll';
import { codedError } from './errors';
import { wantedEngine, wantEngine, type EngineName } from './engine/choice';
import { isAttached, setDefaultBusyPoll } from './engine/engine';

export type { EngineName };

export interface Configuration {
  /** Which engine to run on; before the first socket only. */
  engine?: EngineName;
  /** Microseconds to look for events before sleeping, for every socket of this thread. Burns a core. */
  busyPoll?: number;
}

const ENGINES: readonly unknown[] = ['epoll', 'io_uring', 'auto'];

function invalid(name: string, value: unknown, what: string): Error {
  return codedError(
    RangeError,
    'ERR_OUT_OF_RANGE',
    `The value of "${name}" is out of range. It must be ${what}. Received ${String(value)}`,
  );
}

function checkEngine(name: string, value: unknown): EngineName {
  if (!ENGINES.includes(value)) throw invalid(name, value, "'epoll', 'io_uring' or 'auto'");
  return value as EngineName;
}

/** Sets how this thread's sockets work. Settings that are left out stay. */
export function configure(configuration: Configuration): void {
  const { engine, busyPoll } = configuration;
  // All of it is looked at before any of it is set.
  const polling =
    busyPoll === undefined ? undefined : checkBusyPoll('configuration.busyPoll', busyPoll);
  if (engine !== undefined) {
    const checked = checkEngine('configuration.engine', engine);
    if (isAttached() && checked !== wantedEngine()) {
      throw codedError(
        Error,
        'ERR_AFUNIX_STARTED',
        'configure({ engine }) has to come before the first socket of this thread',
      );
    }
    wantEngine(checked);
  }
  if (polling !== undefined) setDefaultBusyPoll(polling);
}

let configured = false;

/** For every entry of the package: the first that is loaded looks at the environment. */
export function configureOnce(): void {
  if (configured || native === null) return;
  configured = true;
  configureFromEnvironment(process.env);
}

/** AFUNIX_ENGINE and AFUNIX_BUSY_POLL, looked at once. */
function configureFromEnvironment(environment: NodeJS.ProcessEnv): void {
  const engine = environment['AFUNIX_ENGINE'];
  const busyPoll = environment['AFUNIX_BUSY_POLL'];
  if (engine !== undefined && engine !== '') wantEngine(checkEngine('AFUNIX_ENGINE', engine));
  if (busyPoll !== undefined && busyPoll !== '') {
    setDefaultBusyPoll(checkBusyPoll('AFUNIX_BUSY_POLL', Number(busyPoll)));
  }
}
