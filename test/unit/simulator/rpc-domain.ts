/** What tests of single procedures have in common: a daemon, one client that hears all events, one domain. */
import { eventPackets } from '../../../src/libvirt/domain-events.js';
import type { DomainHandle } from '../../../src/libvirt/objects.js';
import type { SimulatedDomain } from '../../../src/simulator/domain.js';
import type { SimulatedHostOptions } from '../../../src/simulator/simulated-host.js';
import { RpcError, until } from './rpc-client.js';
import type { RpcClient } from './rpc-client.js';
import { watch, withServer } from './server-fixture.js';
import type { Fixture } from './server-fixture.js';

export interface OnDomain extends Fixture {
  readonly client: RpcClient;
  readonly domain: SimulatedDomain;
  readonly dom: DomainHandle;
  /** Live XML. */
  xml(): string;
  defined(): string;
  /** Names of the events since the last look, with what is worth comparing. */
  told(): string[];
  /** Waits for the next events and returns them as told(). */
  next(count: number): Promise<string[]>;
  /** Lets time pass until the call has ended, and passes its outcome on. */
  passing<T>(call: Promise<T>): Promise<T>;
}

const STEP_MS = 50;
const MAX_STEPS = 10_000;

export const code = (expected: number) => (error: unknown) =>
  error instanceof RpcError && error.code === expected;

/** The live name of an event, and its most telling field. */
function text({ name, payload }: { name: string; payload: Readonly<Record<string, unknown>> }): string {
  if (name === 'lifecycle') return `${String(payload['event'])}/${String(payload['detail'])}`;
  const told = payload['alias'] ?? payload['disk'] ?? payload['uri'] ?? payload['actual'];
  const number = payload['reason'] ?? payload['status'];
  const parts = [told, number].filter((part) => part !== undefined);
  return [name, ...parts.map(String)].join(' ');
}

export function onDomain(
  options: Partial<SimulatedHostOptions>,
  test: (on: OnDomain) => Promise<void>,
): Promise<void> {
  return withServer(options, async (fixture) => {
    const client = await fixture.open();
    for (const { eventId } of Object.values(eventPackets)) {
      await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId });
    }
    const domain = fixture.host.require('vm-0001');
    const { name, uuid, id } = domain;
    const told = () => client.events.splice(0).map(text);
    await test({
      ...fixture,
      client,
      domain,
      dom: { name, uuid, id },
      xml: () => fixture.host.xml(domain, false),
      defined: () => fixture.host.xml(domain, true),
      told,
      async next(count) {
        await until(() => client.events.length >= count);
        return told();
      },
      async passing(call) {
        const outcome = watch(call);
        for (let step = 0; step < MAX_STEPS && !outcome.settled; step++) await fixture.clock.advance(STEP_MS);
        return call;
      },
    });
  });
}
