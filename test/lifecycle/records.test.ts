import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

const root = path.dirname(require.resolve('afunix/package.json'));

type Numbers = Readonly<Record<string, number>>;

/** Not part of the package's face, so it is loaded by its file. */
// eslint-disable-next-line @typescript-eslint/no-require-imports
const records = require(path.join(root, 'dist/engine/records.js')) as {
  Happened: Numbers;
  Ask: Numbers;
  COMPLETION: Numbers;
  SUBMISSION: Numbers;
  RECEIVED: Numbers;
  OUTGOING: Numbers;
  [name: string]: unknown;
};

const header = (name: string): string =>
  readFileSync(path.join(root, 'native/engine', name), 'utf8').replace(/\/\/.*$/gm, '');

function enumeration(name: string): Numbers {
  const body = new RegExp(`enum class ${name}[^{]*\\{([^}]*)\\}`).exec(header('records.h'))?.[1];
  assert.ok(body, `no ${name} in records.h`);
  let next = 0;
  const members = body.split(',').map((member) => member.trim());
  return Object.fromEntries(
    members.filter(Boolean).map((member) => {
      const [label = '', value] = member.split('=').map((part) => part.trim());
      if (value !== undefined) next = Number(value);
      return [label.replace(/^k(.)/, (_, first: string) => first.toLowerCase()), next++];
    }),
  );
}

function fields(name: string): string[] {
  const body = new RegExp(`struct ${name} \\{([^}]*)\\}`).exec(header('records.h'))?.[1] ?? '';
  return [...body.matchAll(/int32_t (\w+);/g)].map(([, field]) => field ?? '');
}

function constant(file: string, name: string): number {
  const text = new RegExp(`${name} = ([^;]+);`).exec(header(file))?.[1];
  assert.ok(text, `no ${name} in ${file}`);
  const inlined = text.replace('kReadSize', String(64 * 1024)).split('*');
  return inlined.reduce((product, factor) => product * Number(factor), 1);
}

test('what happened has the same number on both sides', () => {
  assert.deepEqual(records.Happened, enumeration('CompletionKind'));
});

test('what is asked for has the same number on both sides', () => {
  assert.deepEqual(records.Ask, enumeration('SubmissionKind'));
});

test('rows have the same columns on both sides', () => {
  for (const [columns, struct] of [
    [records.COMPLETION, 'Completion'],
    [records.SUBMISSION, 'Submission'],
  ] as const) {
    const names = fields(struct);
    assert.equal(columns['width'], names.length, struct);
    names.forEach((name, column) => assert.equal(columns[name], column, `${struct}.${name}`));
  }
});

test('sizes and limits are the same on both sides', () => {
  for (const [ours, theirs] of [
    ['COMPLETION_CAPACITY', 'kCompletionCapacity'],
    ['SUBMISSION_CAPACITY', 'kSubmissionCapacity'],
    ['SEND_AREA_SIZE', 'kSendAreaSize'],
    ['READ_SIZE', 'kReadSize'],
    ['RECEIVE_AREA_SIZE', 'kReceiveAreaSize'],
    ['RING_BUFFER_SIZE', 'kRingBufferSize'],
    ['RING_BUFFER_COUNT', 'kRingBufferCount'],
    ['SLAB_COUNT', 'kSlabCount'],
    ['DESCRIPTOR_CAPACITY', 'kDescriptorCapacity'],
    ['MESSAGE_AREA_SIZE', 'kMessageAreaSize'],
    ['MESSAGE_ALIGNMENT', 'kMessageAlignment'],
    ['MESSAGE_BUDGET', 'kMessageBudget'],
    ['MESSAGE_ROWS', 'kMessageRows'],
    ['OUTGOING_ROWS', 'kOutgoingRows'],
  ] as const) {
    assert.equal(records[ours], constant('budgets.h', theirs), ours);
  }
  for (const [ours, theirs] of [
    ['PENDING', 'kPending'],
    ['MESSAGE_TRUNCATED', 'kMessageTruncated'],
    ['DESCRIPTORS_DROPPED', 'kDescriptorsDropped'],
    ['CREDENTIALS_CAME', 'kCredentialsCame'],
  ] as const) {
    assert.equal(records[ours], constant('records.h', theirs), ours);
  }
  for (const [columns, theirs] of [
    [records.RECEIVED, 'kReceivedColumns'],
    [records.OUTGOING, 'kOutgoingColumns'],
  ] as const) {
    assert.equal(columns['width'], constant('records.h', theirs), theirs);
  }
});
