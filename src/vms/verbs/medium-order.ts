/**
 * What VM.changeCD and VM.changeFloppy are told: which drive, and which medium. Pure.
 *
 * The drive by name or alias, by interface and index as engines count them, by interface alone, or not at all where there
 * is but one; the medium by path, by a LUN's GUID, or by oVirt's image ids. Nothing of it, or an empty path, is "take it
 * out".
 */
import { VerbError } from '../../domain/errors.js';
import { driveName } from './drive-name.js';
import { countMember, isObject, textMember } from './members.js';
import type { OpenObject } from './members.js';

/** Target name or alias; or the only drive (of a bus). */
export type DriveWish = { readonly target: string } | { readonly bus?: string };

export interface Medium {
  readonly path: string;
  /** oVirt's ids of the image, by their names in the metadata. */
  readonly ids?: Readonly<Record<string, string>>;
}

export interface MediumOrder {
  readonly drive: DriveWish;
  /** Absent: none. */
  readonly medium?: Medium;
}

const idNames = ['poolID', 'domainID', 'imageID', 'volumeID'] as const;
/** Ids become parts of paths. */
const PLAIN = /^[\w.-]{1,128}$/;

/** @throws VerbError invalidParameter, missParam */
export function mediumOrder(spec: string | OpenObject): MediumOrder {
  if (typeof spec === 'string') return { drive: {}, ...(spec !== '' && { medium: { path: spec } }) };
  const medium = mediumOf(spec['drive_spec'] ?? spec);
  return { drive: driveOf(spec), ...(medium && { medium }) };
}

function driveOf(spec: OpenObject): DriveWish {
  const name = textMember(spec, 'name') ?? textMember(spec, 'alias');
  if (name !== undefined && name !== '') return { target: name };
  const iface = textMember(spec, 'iface');
  if (iface === undefined || iface === '') return {};
  const index = countMember(spec, 'index');
  if (index === undefined) return { bus: iface };
  const target = driveName(iface, index);
  if (target === undefined)
    throw new VerbError('invalidParameter', `there are no drives of interface ${iface}`);
  return { target };
}

function mediumOf(spec: unknown): Medium | undefined {
  if (typeof spec === 'string') return spec === '' ? undefined : { path: spec };
  if (!isObject(spec)) throw new VerbError('invalidParameter', 'drive_spec must be a path or an object');
  const path = textMember(spec, 'path');
  if (path !== undefined && path !== '') return { path };
  const guid = textMember(spec, 'GUID');
  if (guid !== undefined && guid !== '')
    return { path: `/dev/mapper/${plain('GUID', guid)}`, ids: { GUID: guid } };
  return imageMedium(spec);
}

/** Where a host of oVirt has the images of its storage domains. */
function imageMedium(spec: OpenObject): Medium | undefined {
  const given = idNames.flatMap((name): [string, string][] => {
    const id = textMember(spec, name);
    return id === undefined || id === '' ? [] : [[name, plain(name, id)]];
  });
  if (given.length === 0) return undefined;
  const ids = Object.fromEntries(given);
  const missing = idNames.find((name) => ids[name] === undefined);
  if (missing !== undefined) throw new VerbError('missParam', `drive_spec has no ${missing}`);
  const { poolID, domainID, imageID, volumeID } = ids as Record<(typeof idNames)[number], string>;
  return { path: `/rhev/data-center/${poolID}/${domainID}/images/${imageID}/${volumeID}`, ids };
}

function plain(name: string, id: string): string {
  if (PLAIN.test(id) && id !== '.' && id !== '..') return id;
  throw new VerbError('invalidParameter', `${name} is no id`);
}
