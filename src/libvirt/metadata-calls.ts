/** The port's calls for metadata elements, by namespace. Reading needs neither monitor nor the domain's lock. */
import type { MetadataCalls } from '../domain/hypervisor-verbs.js';
import { isCode } from './domain-calls.js';
import type { DomainCalls } from './domain-calls.js';
import { AffectFlag, MetadataType } from './enumerations.js';
import { ErrorCode } from './errors.js';

export function metadataCalls(domains: DomainCalls): MetadataCalls {
  const { free, verbs } = domains.lanes;
  const on = domains.on.bind(domains);
  return {
    async get(id, uri, from, options) {
      const flags = from === 'live' ? AffectFlag.live : AffectFlag.config;
      const request = { ...on(id, flags), type: MetadataType.element, uri };
      try {
        return (await free.call('DOMAIN_GET_METADATA', request, options)).metadata;
      } catch (error) {
        if (isCode(error, ErrorCode.noDomainMetadata)) return undefined;
        throw error;
      }
    },

    /** 'both' of a domain that has stopped meanwhile is its definition. */
    async set(id, { uri, prefix, xml }, into, options) {
      const set = async (flags: number): Promise<void> => {
        const element = { type: MetadataType.element, metadata: xml, key: prefix, uri };
        await verbs.call('DOMAIN_SET_METADATA', { ...on(id, flags), ...element }, options);
      };
      if (into === 'definition') await set(AffectFlag.config);
      else await domains.whatThereIs(id, set, options);
    },
  };
}
