/** A certificate for localhost that signs itself, made by the openssl program. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { folder } from './support';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

export function certificate(t: TestContext): Certificate {
  const place = folder(t);
  const files = { key: path.join(place, 'key.pem'), cert: path.join(place, 'cert.pem') };
  const about = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = [
    '-days',
    '2',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
  ];
  const into = ['-keyout', files.key, '-out', files.cert];
  execFileSync('openssl', ['req', ...about, ...subject, ...into], { stdio: 'pipe' });
  return { key: readFileSync(files.key, 'utf8'), cert: readFileSync(files.cert, 'utf8') };
}
