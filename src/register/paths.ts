/**
 * Which paths `afunix/register` takes: AFUNIX_REGISTER_PATHS, patterns with colons between them. `*` is any characters but a slash, `**` any
 * characters at all, a leading `!` takes paths out, and a leading `@` is the NUL of an abstract name. The last pattern that fits
 * decides; if the first takes paths out, all others are in.
 */
import path from 'node:path';

interface Rule {
  readonly pattern: RegExp;
  readonly takes: boolean;
}

/** What a rule sees: absolute pathnames as they are, relative ones made absolute, abstract names behind an '@'. */
function subjectOf(name: string): string {
  return name.startsWith('\0') ? `@${name.slice(1)}` : path.resolve(name);
}

function ruleFor(text: string): Rule {
  const takes = !text.startsWith('!');
  const given = takes ? text : text.slice(1);
  const folder = given.endsWith('/') ? `${given}**` : given;
  const absolute = folder.startsWith('@') || folder.startsWith('*') ? folder : path.resolve(folder);
  const source = absolute.replace(/\*\*|\*|[.+?^${}()|[\]\\]/g, (found) => {
    if (found === '**') return '.*';
    return found === '*' ? '[^/]*' : `\\${found}`;
  });
  return { pattern: new RegExp(`^${source}$`, 's'), takes };
}

/** The patterns, or null if there are none and every path is taken. */
export function patternsIn(setting: string | undefined): readonly string[] | null {
  const patterns = (setting ?? '').split(':').filter((pattern) => pattern !== '');
  return patterns.length === 0 ? null : patterns;
}

export function pathFilter(patterns: readonly string[] | null): (name: string) => boolean {
  if (patterns === null) return () => true;
  const rules = patterns.map(ruleFor);
  const [first] = rules;
  return (name) => {
    const subject = subjectOf(name);
    let taken = !first?.takes;
    for (const { pattern, takes } of rules) if (pattern.test(subject)) taken = takes;
    return taken;
  };
}
