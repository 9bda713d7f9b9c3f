/** A real nginx, without privileges, in front of a Unix socket. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { needs, start, type Program } from './server-program';
import { root } from './support';

export interface Nginx extends Program {
  /** Where it listens. */
  readonly front: string;
}

let started = 0;

/** With the configuration of the example; null if there is no nginx here. */
export async function startNginx(
  t: TestContext,
  folder: string,
  back: string,
): Promise<Nginx | null> {
  const front = path.join(folder, `front-${(started += 1)}.sock`);
  const values: Record<string, string> = { PREFIX: folder, FRONT: front, BACK: back };
  const template = readFileSync(path.join(root, 'examples/nginx.conf.template'), 'utf8');
  const text = template.replace(/\{\{(\w+)\}\}/g, (_, name: string) => values[name] ?? '');
  const program = await runNginx(t, folder, text);
  return program && { ...program, front };
}

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'scgi', 'uwsgi'];

/** With nothing but a site: what belongs into /etc/nginx/conf.d. */
export function startSite(t: TestContext, folder: string, site: string): Promise<Program | null> {
  const file = path.join(folder, 'site.conf');
  writeFileSync(file, site);
  const places = TEMPORARY.map((name) => `${name}_temp_path ${folder}/${name};`);
  return runNginx(
    t,
    folder,
    `daemon off; pid ${folder}/nginx.pid; error_log stderr notice; worker_processes 1;
    events {}
    http { access_log off; ${places.join(' ')} include ${file}; }`,
  );
}

async function runNginx(t: TestContext, folder: string, text: string): Promise<Program | null> {
  const programs = needs(t, { nginx: 'nginx-light' });
  if (programs === null) return null;
  const [nginx = ''] = programs;
  const configuration = path.join(folder, `nginx-${(started += 1)}.conf`);
  writeFileSync(configuration, text);
  const args = ['-e', 'stderr', '-p', folder, '-c', configuration];
  const program = start(t, nginx, args, { cwd: folder });
  // It listens by then, and its worker has begun.
  await program.logged('start worker process ');
  return program;
}
