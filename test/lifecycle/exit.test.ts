/** A process may end at any moment: what the library is doing then must not change how it ends. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Action, actions, endAt, stages } from './exit-stages';
import type { Ending } from '../helpers/lone-process';
import { freshPath } from '../helpers/socket-paths';

const expected: Readonly<Record<Action, (ending: Ending) => void>> = {
  exit({ code, signal, stderr, lines }) {
    assert.deepEqual({ code, signal, stderr }, { code: 42, signal: null, stderr: '' });
    assert.deepEqual(lines, ['acts', 'exit 42']);
  },
  throw({ code, signal, stderr, lines }) {
    assert.deepEqual({ code, signal }, { code: 1, signal: null }, stderr);
    assert.equal(stderr.split('Error: thrown at this stage').length, 2, stderr);
    assert.deepEqual(lines, ['acts', 'exit 1']);
  },
  'close everything'({ code, signal, stderr, lines }) {
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    assert.deepEqual(lines, ['acts', 'exit 0']);
  },
  SIGTERM({ signal, stderr, lines }) {
    assert.deepEqual({ signal, stderr }, { signal: 'SIGTERM', stderr: '' });
    assert.deepEqual(lines, ['acts']);
  },
  terminate({ code, signal, stderr, lines }) {
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
    assert.deepEqual(lines, ['acts', 'terminated 1', 'exit 0']);
  },
};

for (const stage of Object.keys(stages)) {
  for (const action of actions) {
    test(`${stage}: ${action}`, async (t) => {
      expected[action](await endAt(t, stage, action, freshPath(t)));
    });
  }
}
