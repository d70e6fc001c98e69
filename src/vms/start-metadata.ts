/**
 * The start's mark in a domain's XML: oVirt's `vm` metadata with `startTime`. It makes the domain a managed one and tells
 * its age to an agent that is started later, since the agent keeps nothing of its own.
 *
 * Pure. XML is not built anew but put into the text, which otherwise goes to libvirt as it came; what could not be put in
 * with certainty is left out.
 */
import type { DomainDescription } from '../domain/devices.js';

const NAMESPACE = 'http://ovirt.org/vm/1.0';
const PREFIX_OF_NAMESPACE = /\sxmlns:([\w.-]+)=(["'])http:\/\/ovirt\.org\/vm\/1\.0\2/;

/**
 * @param startTimeSec wall clock, epoch seconds
 * @param parse throws for what is no domain
 * @returns the XML with the mark, or as it was where its form is none that oVirt's programs write
 */
export function markStart(
  domain: DomainDescription,
  startTimeSec: number,
  parse: (xml: string) => DomainDescription,
): string {
  const prefix = PREFIX_OF_NAMESPACE.exec(domain.xml)?.[1] ?? 'ovirt-vm';
  const mark = `<${prefix}:startTime type="float">${startTimeSec}</${prefix}:startTime>`;
  const marked = domain.metadata
    ? withinVm(domain.xml, prefix, mark)
    : withVm(domain.xml, `<${prefix}:vm xmlns:${prefix}="${NAMESPACE}">${mark}</${prefix}:vm>`);
  return isSameBut(domain, startTimeSec, marked, parse) ? marked : domain.xml;
}

/** A mark of an earlier start is replaced. */
function withinVm(xml: string, prefix: string, mark: string): string {
  const name = prefix.replaceAll('.', '\\.');
  const old = new RegExp(`<${name}:startTime(\\s[^<>]*)?>[^<]*</${name}:startTime>`);
  const opening = new RegExp(`<${name}:vm((?:\\s[^<>]*?)?)(/?)>`);
  return xml
    .replace(old, '')
    .replace(opening, (_tag, attributes: string, slash: string) =>
      slash === ''
        ? `<${prefix}:vm${attributes}>${mark}`
        : `<${prefix}:vm${attributes}>${mark}</${prefix}:vm>`,
    );
}

function withVm(xml: string, vm: string): string {
  const metadata = /<metadata\s*>|<metadata\s*\/>/;
  if (!metadata.test(xml)) {
    return xml.replace(/<domain(\s[^<>]*)?>/, (tag) => `${tag}<metadata>${vm}</metadata>`);
  }
  return xml.replace(metadata, (tag) => `<metadata>${vm}${tag.includes('/') ? '</metadata>' : ''}`);
}

/** Comments and the like may hold what looks like the place: then the mark has gone astray. */
function isSameBut(
  before: DomainDescription,
  startTimeSec: number,
  xml: string,
  parse: (xml: string) => DomainDescription,
): boolean {
  try {
    const { id, name, devicesHash, metadata } = parse(xml);
    const same = id === before.id && name === before.name && devicesHash === before.devicesHash;
    return same && metadata?.startTime === startTimeSec;
  } catch {
    return false;
  }
}
