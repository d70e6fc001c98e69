/** What the groups of calls of the fake hypervisor need of it. */
import type { DomainEvent } from '../../src/domain/hypervisor.js';
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { VmId } from '../../src/domain/ids.js';
import type { ActionName } from './fake-actions.js';
import type { FakeCall, Method } from './fake-calls.js';
import type { FakeDomain } from './fake-domain.js';

export type EventBody = DomainEvent extends infer E
  ? E extends DomainEvent
    ? Omit<E, 'id' | 'domainName'>
    : never
  : never;

export interface FakeWorld {
  readonly domains: Map<VmId, FakeDomain>;
  enter(method: Method, id?: VmId, args?: FakeCall['args']): Promise<void>;
  /** @throws HypervisorError 'no-domain' */
  enterDomain(method: Method, id: VmId, args?: FakeCall['args']): Promise<FakeDomain>;
  /** Of what a running domain alone has. @throws HypervisorError 'no-domain', 'invalid-state' */
  enterActive(method: Method, id: VmId, args?: FakeCall['args']): Promise<FakeDomain & { live: string }>;
  act(id: VmId, name: ActionName): boolean;
  emit(id: VmId, event: EventBody): void;
}

export function failed(message: string): HypervisorError {
  return new HypervisorError('failed', message);
}

export function wrongState(message: string): HypervisorError {
  return new HypervisorError('invalid-state', `Requested operation is not valid: ${message}`);
}

/** The domain as a test names it, which must be there. */
export function domainOf(world: FakeWorld, id: VmId): FakeDomain & { live: string } {
  const domain = world.domains.get(id);
  if (!domain?.active) throw new Error(`no running domain ${id}`);
  return domain as FakeDomain & { live: string };
}
