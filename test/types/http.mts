// What a program written with `import` sees of afunix/http and afunix/register. Compiled, never run.
import http from 'node:http';
import http2 from 'node:http2';
import { Agent as UndiciAgent } from 'undici';
import { features } from 'afunix';
import { Agent, connector, serve, type AgentOptions, type ServeOptions } from 'afunix/http';
import 'afunix/register';

const options: ServeOptions = { path: '/run/x.sock', readableAll: true, busyPoll: 50 };
const server: http.Server = serve(http.createServer(), options, () => undefined);
const session: http2.Http2Server = serve(http2.createServer(), '/run/x.sock');
const agentOptions: AgentOptions = { socketPath: '/run/x.sock', keepAlive: true };
const agent: http.Agent = new Agent(agentOptions);
http.get({ agent, path: '/' });
http.get({ agent: new Agent({ address: 'tcp://127.0.0.1:80' }), path: '/' });
serve(http.createServer(), 'unix:/run/x.sock');
new UndiciAgent({ connect: connector({ path: '/run/x.sock', connectTimeout: 10 }) });
const replaced: readonly string[] | undefined = features().register.replaced;
// @ts-expect-error a path is needed
connector({});
export { replaced, server, session };
