/**
 * libvirt's object handles as the wire carries them, and the record of bulk statistics. The daemon resolves a
 * domain by its uuid alone; name and id may be stale.
 */
import { typedParams } from './typed-params.js';
import { array, i32, str, struct, uuid } from './xdr-codecs.js';
import type { CodecType } from './xdr-codecs.js';

/** id is -1 while the domain is not running. */
export const dom = struct({ name: str, uuid, id: i32 });
export type DomainHandle = CodecType<typeof dom>;

export const network = struct({ name: str, uuid });
export const nodeDevice = struct({ name: str });
export const secret = struct({ uuid, usageType: i32, usageId: str });
export const snapshot = struct({ name: str, dom });

export const MAX_DOMAINS = 16_384;
export const MAX_STATS_PARAMS = 262_144;
export const domainStatsRecord = struct({ dom, params: typedParams(MAX_STATS_PARAMS) });
export const domainStatsRecords = array(domainStatsRecord, MAX_DOMAINS);
export type DomainStatsRecord = CodecType<typeof domainStatsRecord>;
