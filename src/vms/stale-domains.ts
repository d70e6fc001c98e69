/**
 * Definitions that stand in a new VM's way: of its id, or of its name under another id. One that is shut off has been left
 * behind by an earlier VM and goes, as in VDSM; one that runs is not touched, and the start fails.
 */
import type { DomainDescription } from '../domain/devices.js';
import { HypervisorError } from '../domain/hypervisor.js';
import type { DomainRef } from '../domain/hypervisor.js';
import { isActive } from '../domain/vm-found.js';
import { nameOf } from './operation.js';
import type { OperationsParts } from './operation.js';

type StaleParts = Pick<OperationsParts, 'hypervisor' | 'log'>;

/**
 * Removes an earlier definition of this id.
 * @throws Error where it runs, HypervisorError
 */
export async function removeStale(
  { hypervisor, log }: StaleParts,
  { id, name }: DomainDescription,
): Promise<void> {
  const state = await hypervisor.domainState(id).catch(unlessMissing);
  if (state === undefined) return;
  if (isActive(state)) throw new Error(`a domain with the id of ${nameOf({ id, name })} is running already`);
  log.info({ vmId: id, name }, 'Removing the definition that an earlier VM of this id has left');
  await hypervisor.undefine(id).catch(unlessMissing);
}

/**
 * Defines the domain; the definition of another id that has its name is removed if that is what libvirt minds.
 * @throws Error where that one runs, HypervisorError
 */
export async function defineInPlaceOfStale(
  { hypervisor, log }: StaleParts,
  { id, name }: DomainDescription,
  xml: string,
): Promise<void> {
  try {
    await hypervisor.define(xml);
  } catch (error) {
    if (!(error instanceof HypervisorError && refusals.has(error.kind))) throw error;
    // All domains are listed only then: it is what costs most where there are many.
    const other = (await hypervisor.listDomains()).find((ref) => ref.name === name && ref.id !== id);
    if (!other) throw error;
    await removeNamesake({ hypervisor, log }, other, { id, name });
    await hypervisor.define(xml);
  }
}

/** What libvirt may answer where a name is taken. */
const refusals: ReadonlySet<string> = new Set(['failed', 'exists', 'invalid-state']);

async function removeNamesake(
  { hypervisor, log }: StaleParts,
  other: DomainRef,
  vm: { readonly id: DomainDescription['id']; readonly name: string },
): Promise<void> {
  const state = await hypervisor.domainState(other.id).catch(unlessMissing);
  if (state && isActive(state)) {
    throw new Error(
      `${nameOf(vm)} cannot be started: a domain of that name, with id ${other.id}, is running`,
    );
  }
  log.warn(
    { vmId: other.id, ...vm },
    'Removing the definition of another domain that has the name of a new VM',
  );
  await hypervisor.undefine(other.id).catch(unlessMissing);
}

function unlessMissing(error: unknown): undefined {
  if (error instanceof HypervisorError && error.kind === 'no-domain') return undefined;
  throw error;
}
