/**
 * The policies: uid, gid, groups and label are the kernel's word of when the connection was made. None of them ever matches somebody
 * whose ids mean nothing here, nor somebody in a pid namespace that we cannot see into; and neither does `not` of them.
 */
import { wrongType, wrongValue } from '../checks';
import { checkExecutablePath, judgeExecutable } from './executable';
import { Ids } from './ids';
import { isKnownGid } from './namespaces';
import type { PeerCredentials } from './peer';
import { checkAuthorize, describe, judge, Policy, type Authorize, type Judge } from './policy';
import { no, unknown, YES, type Verdict } from './verdict';

/** A policy about somebody who is known at all. */
function aboutKnown(description: string, decide: Judge): Policy {
  return new Policy(description, (peer, context) => {
    if (peer.foreignPidNamespace) return unknown('the process is in a foreign pid namespace');
    if (peer.unmappedUid) return unknown(`uid ${peer.uid} stands for users without a number here`);
    return decide(peer, context);
  });
}

/** Yes, or wait for the names, or no. */
function byIds(ids: Ids, matches: () => boolean, reason: () => string): ReturnType<Judge> {
  if (matches()) return YES;
  const decide = (): Verdict => {
    if (matches()) return YES;
    const { unresolved } = ids;
    return unresolved === null ? no(reason()) : unknown(unresolved);
  };
  const { pending } = ids;
  return pending === null ? decide() : pending.then(decide);
}

function listed(values: readonly unknown[]): string {
  return values.map(String).join(', ');
}

/** The user of this process: its effective uid at that moment. */
export function sameUser(): Policy {
  return aboutKnown('sameUser()', (peer) =>
    peer.uid === process.geteuid?.() ? YES : no(`uid ${peer.uid} is not the user of this process`),
  );
}

/** One of these users, by number or name. */
export function uid(...users: (number | string)[]): Policy {
  const ids = new Ids('user', users);
  return aboutKnown(`uid(${listed(users)})`, (peer) =>
    byIds(
      ids,
      () => ids.has(peer.uid),
      () => `uid ${peer.uid} is not one of ${listed(users)}`,
    ),
  );
}

/** The primary group is one of these. */
export function gid(...groups: (number | string)[]): Policy {
  const ids = new Ids('group', groups);
  return aboutKnown(`gid(${listed(groups)})`, (peer) =>
    peer.unmappedGid
      ? unknown(`gid ${peer.gid} stands for groups without a number here`)
      : byIds(
          ids,
          () => ids.has(peer.gid),
          () => `gid ${peer.gid} is not one of ${listed(groups)}`,
        ),
  );
}

/** The primary group or a supplementary one is one of these. */
export function group(...groups: (number | string)[]): Policy {
  const ids = new Ids('group', groups);
  return aboutKnown(`group(${listed(groups)})`, (peer) => {
    const known = knownGroups(peer);
    const decided = byIds(
      ids,
      () => ids.hasAny(known),
      () => `uid ${peer.uid} is in none of the groups ${listed(groups)}`,
    );
    const whole = peer.groups !== null && known.length === peer.groups.length;
    // Somebody with groups that nobody can name is not known to be outside of these.
    const sure = (verdict: Verdict): Verdict =>
      verdict.admitted === false && !whole
        ? unknown(peer.reasons.groups ?? 'some of its groups have no number here')
        : verdict;
    return decided instanceof Promise ? decided.then(sure) : sure(decided);
  });
}

function knownGroups(peer: PeerCredentials): readonly number[] {
  const groups = peer.groups ?? [peer.gid];
  return groups.every(isKnownGid) ? groups : groups.filter(isKnownGid);
}

/** The security label is one of these, byte by byte; a NUL at the end, which some security modules have, does not count. */
export function label(...labels: (string | Uint8Array)[]): Policy {
  if (labels.length === 0) throw wrongValue('labels', labels, 'must not be empty');
  const wanted = labels.map((one, index) => checkLabel(`labels[${index}]`, one));
  return aboutKnown(`label(${listed(wanted)})`, ({ labelBytes, reasons }) => {
    if (labelBytes === null || labelBytes.length === 0) {
      return unknown(reasons.label ?? 'the label is empty');
    }
    return wanted.some((one) => one.equals(labelBytes))
      ? YES
      : no(`the label '${labelBytes.toString('latin1')}' is none of those`);
  });
}

function checkLabel(name: string, given: string | Uint8Array): Buffer {
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) {
    throw wrongType(name, 'of type string or an instance of Uint8Array', given);
  }
  const bytes = typeof given === 'string' ? Buffer.from(given, 'latin1') : Buffer.from(given);
  if (typeof given === 'string' && bytes.toString('latin1') !== given) {
    throw wrongValue(
      name,
      given,
      'has characters that are no bytes (each stands for one): give the bytes of the label',
    );
  }
  const length = bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length;
  if (length === 0) throw wrongValue(name, given, 'must not be empty');
  return bytes.subarray(0, length);
}

/**
 * The process runs one of these files, told apart by device and inode, while it is asked. Advice, not evidence: it may run something else a
 * moment later, may have been debugged, and of a script it is the interpreter. Combine it with `uid()`.
 */
export function executable(...paths: string[]): Policy {
  if (paths.length === 0) throw wrongValue('paths', paths, 'must not be empty');
  paths.forEach(checkExecutablePath);
  return aboutKnown(`executable(${listed(paths)})`, (peer) => judgeExecutable(peer, paths));
}

function checkAll(name: string, policies: readonly unknown[]): readonly Authorize[] {
  if (policies.length === 0) throw wrongValue(name, policies, 'must not be empty');
  return policies.map((policy, index) => checkAuthorize(`${name}[${index}]`, policy));
}

/** One after the other until one of them decides, waiting only if one has to be waited for. */
function oneByOne(
  policies: readonly Authorize[],
  decides: boolean,
  from: number,
  before: Verdict | null,
  ...[peer, context]: Parameters<Judge>
): Verdict | Promise<Verdict> {
  let worst = before;
  const take = (verdict: Verdict): boolean => {
    // What is not known outweighs what does not decide.
    if (worst === null || (worst.admitted !== null && verdict.admitted !== decides))
      worst = verdict;
    return verdict.admitted === decides;
  };
  for (let index = from; index < policies.length; ++index) {
    const verdict = judge(policies[index], peer, context);
    if (verdict instanceof Promise) {
      return verdict.then((late) =>
        take(late) ? late : oneByOne(policies, decides, index + 1, worst, peer, context),
      );
    }
    if (take(verdict)) return verdict;
  }
  return worst as Verdict;
}

/** Whoever one of these admits. */
export function anyOf(...policies: Authorize[]): Policy {
  const all = checkAll('policies', policies);
  const description = `anyOf(${all.map(describe).join(', ')})`;
  return new Policy(description, (peer, context) => oneByOne(all, true, 0, null, peer, context));
}

/** Whoever all of these admit. */
export function allOf(...policies: Authorize[]): Policy {
  const all = checkAll('policies', policies);
  const description = `allOf(${all.map(describe).join(', ')})`;
  return new Policy(description, (peer, context) => oneByOne(all, false, 0, null, peer, context));
}

/** Whoever is known not to be admitted by this one. Of whom that cannot be known is not admitted by either. */
export function not(policy: Authorize): Policy {
  const one = checkAuthorize('policy', policy);
  const described = describe(one);
  const description = `not(${described})`;
  const opposite = (verdict: Verdict): Verdict => {
    if (verdict.admitted === null) return verdict;
    return verdict.admitted ? no(`${described} is what it must not be`) : YES;
  };
  return new Policy(description, (peer, context) => {
    const verdict = judge(one, peer, context);
    return verdict instanceof Promise ? verdict.then(opposite) : opposite(verdict);
  });
}
