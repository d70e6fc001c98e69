/**
 * Which of a domain's two configurations a call means: the running domain's, its definition, or both.
 */
import { AffectFlag } from '../libvirt/enumerations.js';
import type { SimulatedDomain } from './domain.js';
import type { DomainConfig } from './domain-config.js';
import { Fault } from './fault.js';

export interface Affected {
  readonly live: boolean;
  readonly definition: boolean;
}

/** Reads the bits of VIR_DOMAIN_AFFECT_*; 0 is the domain as it is now. */
export function affected(domain: SimulatedDomain, flags: number): Affected {
  const live = (flags & AffectFlag.live) !== 0;
  const definition = (flags & AffectFlag.config) !== 0;
  if (!live && !definition) return { live: domain.active, definition: !domain.active };
  if (live && !domain.active) throw new Fault('invalid-state', 'domain is not running');
  if (definition && !domain.persistent) {
    throw new Fault('invalid-state', 'transient domains do not have any persistent config');
  }
  return { live, definition };
}

/** The one configuration that a query means. */
export function configOf(domain: SimulatedDomain, flags: number): DomainConfig {
  const { live, definition } = affected(domain, flags);
  if (live && definition) {
    throw new Fault(
      'invalid-argument',
      "Flags 'VIR_DOMAIN_AFFECT_LIVE' and 'VIR_DOMAIN_AFFECT_CONFIG' are mutually exclusive",
    );
  }
  return live ? domain.config : domain.definition;
}

/**
 * Changes what is affected; where one of the changes is refused, nothing changes.
 * @param edit called for each; `live` says for which
 */
export function changeConfig(
  domain: SimulatedDomain,
  where: Affected,
  edit: (config: DomainConfig, live: boolean) => DomainConfig,
): void {
  const live = where.live ? edit(domain.config, true) : undefined;
  const definition = where.definition ? edit(domain.definition, false) : undefined;
  if (live) domain.changeLive(live);
  if (definition) domain.definition = definition;
}
