/** The other files of examples/deploy: systemd's units by its own tools, those of containers against each other. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parse, parseAllDocuments } from 'yaml';
import { parseAddress } from 'afunix';
import { deployed, fileWith, SOCKET } from './deployed';
import { giveToNobody, needs, start } from './server-program';
import { collected, folder, happens, root } from './support';

const SERVICE = '/usr/lib/example/service.mjs';
const NODE = '/usr/bin/node';
const service = path.join(deployed, 'service.mjs');

/** The last value of a setting. */
function setting(unit: string, name: string): string {
  const value = [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].at(-1)?.[1];
  assert.ok(value !== undefined, `the unit has no ${name}=`);
  return value;
}

async function get(to: string): Promise<string> {
  const request = http.get({ socketPath: to, path: '/x', agent: false });
  const [response] = (await happens(request, 'response')) as [http.IncomingMessage];
  return (await collected(response)).toString();
}

test('systemd understands every line of the units', (t) => {
  const programs = needs(t, { 'systemd-analyze': 'systemd' });
  if (programs === null) return;
  const [analyze = ''] = programs;
  const place = folder(t);
  const units = ['example.service', 'example.socket'].map((name) => {
    const file = path.join(place, name);
    const places = { [NODE]: process.execPath, [SERVICE]: service };
    writeFileSync(file, fileWith(name, name.endsWith('.service') ? places : {}));
    return file;
  });
  const { status, stdout, stderr } = spawnSync(analyze, ['verify', '--man=no', ...units], {
    encoding: 'utf8',
  });
  assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' });
});

test('the service is started by its first client, on the socket of the socket unit, and ends when it is told to', async (t) => {
  const programs = needs(t, { 'systemd-socket-activate': 'systemd' });
  if (programs === null) return;
  const [activate = ''] = programs;
  const place = folder(t);
  giveToNobody(place);
  const socketUnit = fileWith('example.socket', { [SOCKET]: path.join(place, 'http.sock') });
  const unit = fileWith('example.service', { [NODE]: process.execPath, [SERVICE]: service });
  const to = setting(socketUnit, 'ListenStream');
  const name = `--fdname=${setting(socketUnit, 'FileDescriptorName')}`;
  const command = setting(unit, 'ExecStart').split(' ');
  const manager = start(t, activate, ['-l', to, name, ...command], { cwd: place });
  await manager.logged('Listening on');
  const answers = await Promise.all([get(to), get(to), get(to)]);
  await manager.logged('serving');
  // systemd-socket-activate has become the service.
  const expected = `GET /x by ${manager.child.pid}\n`;
  assert.deepEqual(answers, [expected, expected, expected]);
  const ended = happens(manager.child, 'exit');
  manager.child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  // The manager's file is the manager's.
  assert.ok(existsSync(to));
});

test('without a manager it listens at ADDRESS, lets its group in, and gives way to the next one', async (t) => {
  const place = folder(t);
  giveToNobody(place);
  const to = path.join(place, 'http.sock');
  const environment = { ADDRESS: `unix:${to}`, TRUST_DIRECTORY: '1' };
  const begin = (): ReturnType<typeof start> =>
    start(t, process.execPath, [service], { cwd: place, environment });
  const first = begin();
  await first.logged('serving');
  assert.equal(statSync(to).mode & 0o777, 0o660);
  assert.equal(await get(to), `GET /x by ${first.child.pid}\n`);
  const second = begin();
  await second.logged('serving');
  const ended = happens(first.child, 'exit');
  first.child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await get(to), `GET /x by ${second.child.pid}\n`);
  // One that was killed is no obstacle.
  await second.stop('SIGKILL');
  const third = begin();
  await third.logged('serving');
  while ((await get(to)) !== `GET /x by ${third.child.pid}\n`) await delay(10);
});

test('and over TCP, by nothing but another address', async (t) => {
  const place = folder(t);
  chmodSync(place, 0o755);
  const program = start(t, process.execPath, [service], {
    cwd: place,
    environment: { ADDRESS: 'tcp://127.0.0.1:0' },
  });
  await program.logged('serving');
  assert.equal(program.child.exitCode, null);
});

interface Mounting {
  readonly volumes: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly network_mode?: string;
  readonly command?: readonly string[];
}

const read = (file: string): string => readFileSync(path.join(deployed, file), 'utf8');

/** Where a folder is inside of a container. */
function mounted({ volumes }: Mounting, volume: string): string | undefined {
  return volumes.map((entry) => entry.split(':')).find(([source]) => source === volume)?.[1];
}

test('Docker: both containers have the folder of the socket, and only the proxy has a network', () => {
  const { services, volumes } = parse(read('compose.yaml')) as {
    services: { service: Mounting; nginx: Mounting };
    volumes: { sockets: { driver_opts: { o: string } } };
  };
  const { path: socket = '' } = parseAddress(services.service.environment?.['ADDRESS'] ?? '');
  assert.equal(socket, SOCKET);
  for (const container of Object.values(services)) {
    // The folder, and never the file.
    assert.equal(mounted(container, 'sockets'), path.dirname(socket));
  }
  assert.equal(services.service.network_mode, 'none');
  assert.deepEqual(services.service.command, ['node', SERVICE]);
  assert.equal(mounted(services.service, './'), path.dirname(SERVICE));
  assert.equal(mounted(services.nginx, './nginx.conf'), '/etc/nginx/conf.d/default.conf');
  assert.ok(read('nginx.conf').includes(`server unix:${socket};`));
  const [uid, gid] = (services.service.user ?? '').split(':');
  assert.equal(volumes.sockets.driver_opts.o, `uid=${uid},gid=${gid},mode=0750`);
});

interface Container {
  readonly name: string;
  readonly env?: readonly { name: string; value: string }[];
  readonly securityContext: { readonly runAsGroup: number; readonly runAsUser: number };
  readonly volumeMounts: readonly { name: string; mountPath: string }[];
  readonly ports?: readonly { containerPort: number }[];
  readonly readinessProbe?: { httpGet?: { port: number } };
}

test('Kubernetes: both containers have the folder and one group, and the kubelet asks the proxy', () => {
  const [configuration, pod] = parseAllDocuments(read('sidecar.yaml')).map(
    (document) => (assert.deepEqual(document.errors, []), document.toJS() as unknown),
  ) as [
    { kind: string; metadata: { name: string }; data: Record<string, string> },
    {
      kind: string;
      spec: {
        containers: readonly Container[];
        volumes: readonly { name: string; emptyDir?: object; configMap?: { name: string } }[];
      };
    },
  ];
  assert.deepEqual([configuration.kind, pod.kind], ['ConfigMap', 'Pod']);
  const { containers, volumes } = pod.spec;
  const [app, proxy] = containers;
  assert.ok(app !== undefined && proxy !== undefined && containers.length === 2);
  const env = Object.fromEntries((app.env ?? []).map(({ name, value }) => [name, value]));
  const { path: socket = '' } = parseAddress(env['ADDRESS'] ?? '');
  assert.equal(socket, SOCKET);
  assert.equal(env['TRUST_DIRECTORY'], '1');
  for (const { volumeMounts } of containers) {
    const mount = volumeMounts.find(({ name }) => name === 'sockets');
    assert.equal(mount?.mountPath, path.dirname(socket));
  }
  assert.ok(volumes.some(({ name, emptyDir }) => name === 'sockets' && emptyDir !== undefined));
  assert.ok(volumes.some(({ configMap }) => configMap?.name === configuration.metadata.name));
  assert.equal(app.securityContext.runAsGroup, proxy.securityContext.runAsGroup);
  assert.notEqual(app.securityContext.runAsUser, proxy.securityContext.runAsUser);
  assert.equal(app.readinessProbe, undefined);
  const port = proxy.ports?.[0]?.containerPort;
  assert.equal(proxy.readinessProbe?.httpGet?.port, port);
  const site = configuration.data['default.conf'] ?? '';
  assert.ok(site.includes(`listen ${port};`) && site.includes(`server unix:${socket};`));
});

test('docs/deploy.md shows every file', () => {
  const page = readFileSync(path.join(root, 'docs/deploy.md'), 'utf8');
  for (const file of [
    'nginx.conf',
    'apache.conf',
    'haproxy.cfg',
    'example.socket',
    'example.service',
    'compose.yaml',
    'sidecar.yaml',
    'service.mjs',
  ]) {
    assert.ok(page.includes(`](../examples/deploy/${file})`), file);
  }
});
