import { loadEngine, loadRecords, type EngineModule, type HandleOwner } from './engine-modules.js';
import type { MicroCase, MicroSuite } from './micro-suite.js';
import { installStandInBinding, type StandIn } from './stand-in-binding.js';

/** Sockets that are ready in one wake-up. */
const BATCH = 64;
const LENGTH = 128;

class Owner implements HandleOwner {
  writeOutcome = 0;
  settling = false;
  unflushed = 0;
  awaitsWrite = false;
  blocked = false;
  received = 0;

  onData(_offset: number, length: number): void {
    this.received += length;
  }

  onWritten(): void {
    this.writeOutcome = 0;
  }
}

function writes({ reserve, submitWrite, flush }: EngineModule, owners: Owner[]): MicroCase[] {
  return [
    {
      name: 'a write each for 64 sockets, and the flush',
      operations: BATCH,
      run: () => {
        for (let handle = 0; handle < BATCH; handle++) {
          reserve(LENGTH);
          submitWrite(handle, owners[handle], LENGTH);
        }
        flush();
      },
    },
    {
      name: '64 writes of one socket, joined, and the flush',
      operations: BATCH,
      run: () => {
        for (let i = 0; i < BATCH; i++) {
          reserve(LENGTH);
          submitWrite(0, owners[0], LENGTH);
        }
        flush();
      },
    },
  ];
}

/** The same records as objects in an array, which is what a table of integers has to beat. */
function writesAsObjects(owners: Owner[]): MicroCase {
  interface Request {
    handle: number;
    owner: Owner;
    length: number;
    outcome: number;
  }
  return {
    name: 'for comparison: an object per write',
    operations: BATCH,
    run: () => {
      const requests: Request[] = [];
      for (let handle = 0; handle < BATCH; handle++) {
        requests.push({ handle, owner: owners[handle], length: LENGTH, outcome: -1 });
      }
      for (const request of requests) {
        request.outcome = 0;
        request.owner.unflushed = 0;
      }
    },
  };
}

function deliveries({ tables, dispatch }: StandIn): MicroCase {
  if (!tables || !dispatch) throw new Error('the engine has not been attached');
  const { COMPLETION, Happened } = loadRecords();
  return {
    name: '64 completions, decoded and delivered',
    operations: BATCH,
    run: () => {
      for (let handle = 0; handle < BATCH; handle++) {
        const row = handle * COMPLETION.width;
        tables.completions[row + COMPLETION.handle] = handle;
        tables.completions[row + COMPLETION.kind] = Happened.data;
        tables.completions[row + COMPLETION.offset] = handle * LENGTH;
        tables.completions[row + COMPLETION.result] = LENGTH;
      }
      dispatch(BATCH);
    },
  };
}

/** Requests into the submission table, events out of the completion table, no system calls. */
export const recordEncoding: MicroSuite = {
  id: 'record-encoding',
  description: 'the two tables between JavaScript and the addon, without system calls',
  prepare: () => {
    const standIn = installStandInBinding();
    const engine = loadEngine();
    const owners = Array.from({ length: BATCH }, () => new Owner());
    owners.forEach((owner, handle) => {
      engine.own(handle, owner);
    });
    const cases = writes(engine, owners);
    for (const { run } of cases) (run as () => void)(); // The first flush attaches the engine.
    return Promise.resolve([...cases, writesAsObjects(owners), deliveries(standIn)]);
  },
};
