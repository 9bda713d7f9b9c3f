/** The numbers by which JavaScript and the engine understand each other are the same on both sides. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type * as Records from '../../src/engine/records';

const load = createRequire(__filename);
const root = dirname(load.resolve('afunix/package.json'));
const records = load(join(root, 'dist/engine/records.js')) as typeof Records;

function header(name: string): string {
  const text = readFileSync(join(root, 'native/engine', name), 'utf8');
  return text.replace(/\/\/.*$/gm, '');
}

/** The names and values of `enum class <name>`, without their k. */
function enumeration(text: string, name: string): Record<string, number> {
  const body = new RegExp(`enum class ${name} : int32_t \\{([^}]*)\\}`).exec(text)?.[1];
  assert.ok(body !== undefined, `there is no enum class ${name}`);
  const values: Record<string, number> = {};
  let next = 0;
  for (const entry of body.split(',').map((part) => part.trim())) {
    if (entry === '') continue;
    const [, enumerator = '', value] = /^k(\w+?)(?:\s*=\s*(\d+))?$/.exec(entry) ?? [];
    assert.notEqual(enumerator, '', `not understood: '${entry}'`);
    if (value !== undefined) next = Number(value);
    values[uncapitalized(enumerator)] = next;
    next += 1;
  }
  return values;
}

function uncapitalized(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

/** The fields of `struct <name>`, all of 32 bits, in their order. */
function columns(text: string, name: string): string[] {
  const body = new RegExp(`struct ${name} \\{([^}]*)\\};`).exec(text)?.[1];
  assert.ok(body !== undefined, `there is no struct ${name}`);
  const fields = body.split(';').map((line) => line.trim());
  return fields.filter((field) => field !== '').map((field) => {
    const [, column = ''] = /^int32_t (\w+)$/.exec(field) ?? [];
    assert.notEqual(column, '', `not a column: '${field}'`);
    return column;
  });
}

/** `inline constexpr … k<Name> = …;`, worked out. */
function constants(text: string): Record<string, number> {
  const values: Record<string, number> = {};
  for (const [, name = '', expression = ''] of text.matchAll(
    /inline constexpr [\w:]+ k(\w+) = ([^;]+);/g,
  )) {
    values[name] = expression
      .split('*')
      .map((factor) => factor.trim().replaceAll("'", ''))
      .map((factor) => (factor.startsWith('k') ? values[factor.slice(1)] : Number(factor)) ?? NaN)
      .reduce((product, factor) => product * factor);
    assert.ok(Number.isInteger(values[name]), `not understood: k${name} = ${expression}`);
  }
  return values;
}

function inOrder(table: Readonly<Record<string, number>>): string[] {
  const entries = Object.entries(table).filter(([column]) => column !== 'width');
  assert.deepEqual(entries.map(([, place]) => place), entries.map((_entry, index) => index));
  assert.equal(table['width'], entries.length);
  return entries.map(([column]) => column);
}

test('what happens has the same numbers', () => {
  assert.deepEqual({ ...records.Happened }, enumeration(header('records.h'), 'CompletionKind'));
});

test('what is asked for has the same numbers', () => {
  assert.deepEqual({ ...records.Ask }, enumeration(header('records.h'), 'SubmissionKind'));
});

test('rows have the same columns', () => {
  assert.deepEqual(inOrder(records.COMPLETION), columns(header('records.h'), 'Completion'));
  assert.deepEqual(inOrder(records.SUBMISSION), columns(header('records.h'), 'Submission'));
});

test('the outcome that is told later has the same number', () => {
  assert.equal(records.PENDING, constants(header('records.h'))['Pending']);
});

test('memory that both sides share has the same size', () => {
  const budgets = constants(header('budgets.h'));
  assert.deepEqual(
    {
      CompletionCapacity: records.COMPLETION_CAPACITY,
      SubmissionCapacity: records.SUBMISSION_CAPACITY,
      SendAreaSize: records.SEND_AREA_SIZE,
      ReadSize: records.READ_SIZE,
      ReceiveAreaSize: records.RECEIVE_AREA_SIZE,
      SlabCount: records.SLAB_COUNT,
    },
    {
      CompletionCapacity: budgets['CompletionCapacity'],
      SubmissionCapacity: budgets['SubmissionCapacity'],
      SendAreaSize: budgets['SendAreaSize'],
      ReadSize: budgets['ReadSize'],
      ReceiveAreaSize: budgets['ReceiveAreaSize'],
      SlabCount: budgets['SlabCount'],
    },
  );
});
