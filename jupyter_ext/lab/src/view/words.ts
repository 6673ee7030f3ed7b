/** Scope words typed into the box: `lang:python`, `-path:tests`, `repo:pandas`. */

import type { Scope } from './messages';

export type Field = 'repos' | 'include_globs' | 'exclude_globs' | 'languages' | 'kinds';

const FIELDS: Record<string, Field> = {
  lang: 'languages',
  language: 'languages',
  kind: 'kinds',
  repo: 'repos',
  path: 'include_globs',
  '-path': 'exclude_globs'
};
const WORD = /(^|\s)(-?(?:lang|language|kind|repo|path)):("[^"]+"|[^\s"]+)\s/;

export const LISTS: Field[] = ['repos', 'include_globs', 'exclude_globs', 'languages', 'kinds'];

/** Take the finished scope words out of a query; return the rest, and the scope with them. */
export function taken(query: string, scope: Scope): [string, Scope | null] {
  let rest = query;
  let changed: Scope | null = null;
  for (let match = WORD.exec(rest); match; match = WORD.exec(rest)) {
    const field = FIELDS[match[2]];
    if (!field) {
      break;
    }
    let value = match[3].replace(/^"|"$/g, '');
    if (field.endsWith('globs') && !/[*?[{]/.test(value)) {
      value = `**/${value.replace(/^\/+|\/+$/g, '')}/**`.replace('**/**', '**');
      if (/\.\w+\/\*\*$/.test(value)) {
        value = value.slice(0, -3); // a file
      }
    }
    // repo: limits the search to that repository; the scope's own are left
    const base: Scope = changed ?? scope;
    changed = field === 'repos' && base.repos === scope.repos ? { ...base, repos: [value] } : withValue(base, field, value);
    rest = `${rest.slice(0, match.index)}${match[1]}${rest.slice(match.index + match[0].length)}`;
  }
  return [changed ? rest.trim() : query, changed];
}

/** Return the scope without one value. */
export function without(scope: Scope, field: Field, value: string): Scope {
  const values = (scope[field] ?? []).filter(one => one !== value);
  return { ...scope, [field]: values };
}

/** Return the scope with one value more. */
export function withValue(scope: Scope, field: Field, value: string): Scope {
  return { ...scope, [field]: [...new Set([...(scope[field] ?? []), value])] };
}

/** Whether all repositories are in scope. */
export const isEverywhere = (scope: Scope): boolean => !scope.repos?.length || scope.repos[0] === '*';
