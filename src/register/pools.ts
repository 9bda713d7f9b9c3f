/** `http.Agent` of `net`: a pooled connection has been asked for its server by one `authorize`, and a request with another one asks again. */
import type http from 'node:http';
import { CLIENT_GUARDS, guardsAmong, refuseGuards } from '../guards';
import { authorizeKey } from '../pool-key';

type Method = (this: { readonly options?: unknown }, ...args: unknown[]) => unknown;

interface Methods {
  getName: Method;
  addRequest: Method;
}

/** Names of what it has replaced. */
export function tellPoolsApart({ Agent }: typeof http): readonly string[] {
  const methods = Agent.prototype as unknown as Methods;
  const { getName, addRequest } = methods;
  const ours: Methods = {
    getName(...args) {
      return `${Reflect.apply(getName, this, args) as string}${authorizeKey(args[0])}`;
    },
    addRequest(...args) {
      const own = guardsAmong(CLIENT_GUARDS, this.options);
      const given = own === null ? null : guardsAmong(CLIENT_GUARDS, args[1]);
      // It puts its own in the place of the request's.
      if (given !== null && Object.keys(given).some((name) => given[name] !== own?.[name])) {
        refuseGuards(given, 'the http.Agent has its own, which counts for all of its requests');
      }
      return Reflect.apply(addRequest, this, args);
    },
  };
  for (const name of ['getName', 'addRequest'] as const) {
    const { length } = methods[name];
    Object.defineProperty(ours[name], 'length', { value: length, configurable: true });
    methods[name] = ours[name];
  }
  return ['http.Agent.prototype.getName', 'http.Agent.prototype.addRequest'];
}
