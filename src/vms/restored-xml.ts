/**
 * The XML that a saved VM goes on with: the saved one, whose devices the saved memory knows, with what an engine decides
 * anew at each start: metadata, pinning, tickets. Pure. VDSM does the same (virt/vm.py).
 */
import { parseXmlForEdit, type XmlNodeElement } from '../util/xml-edit.js';

/** Long past: no console can be opened until VM.updateDevice or VM.setTicket has set a ticket. */
const EXPIRED = '1970-01-01T00:00:01';
/** Graphics that know passwords. */
const ticketed: ReadonlySet<string | undefined> = new Set(['vnc', 'spice']);

/**
 * @param saved domain XML out of the memory file
 * @param request domain XML of VM.create: its metadata and the pinning of its vCPUs are taken over
 * @throws Error where they are not the same VM, or no XML
 */
export function restoredXml(saved: string, request: string): string {
  const domain = parseXmlForEdit(saved);
  const requested = parseXmlForEdit(request);
  for (const name of ['uuid', 'name']) {
    const [had, has] = [domain.child(name)?.text.trim(), requested.child(name)?.text.trim()];
    if (had !== has) throw new Error(`the saved memory is of the VM with ${name} ${had}, not ${has}`);
  }
  for (const graphics of domain.child('devices')?.children('graphics') ?? []) expireTicket(graphics);
  takePinning(domain, requested);
  takeMetadata(domain, requested);
  return domain.toString();
}

/** The ticket of the life before must not open the console of this one. */
function expireTicket(graphics: XmlNodeElement): void {
  if (!ticketed.has(graphics.attribute('type'))) return;
  graphics.attributes.set('passwd', '*****');
  graphics.attributes.set('passwdValidTo', EXPIRED);
}

function takePinning(domain: XmlNodeElement, requested: XmlNodeElement): void {
  const pins = requested.child('cputune')?.children('vcpupin') ?? [];
  const present = domain.child('cputune');
  for (const old of present?.children('vcpupin') ?? []) present?.remove(old);
  if (pins.length > 0) domain.ensure('cputune').append(...pins);
}

/** Metadata without any are no decision: the VM would lose its mark of being managed. */
function takeMetadata(domain: XmlNodeElement, requested: XmlNodeElement): void {
  const metadata = requested.child('metadata');
  if (!metadata || metadata.children().length === 0) return;
  for (const element of metadata.children()) declareNamespaces(element, [metadata, requested]);
  for (const old of domain.children('metadata')) domain.remove(old);
  domain.append(metadata);
}

/** An engine declares its prefixes at `<domain>`, which stays behind. */
function declareNamespaces(element: XmlNodeElement, scopes: readonly XmlNodeElement[]): void {
  const text = element.toString();
  for (const scope of scopes) {
    for (const [name, uri] of scope.attributes) {
      if (!name.startsWith('xmlns:') || element.attributes.has(name)) continue;
      if (text.includes(`${name.slice('xmlns:'.length)}:`)) element.attributes.set(name, uri);
    }
  }
}
