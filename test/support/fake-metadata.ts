/** Metadata of the fake hypervisor's domains, by namespace, in the live domain and in its definition. */
import { HypervisorError } from '../../src/domain/hypervisor.js';
import type { MetadataCalls } from '../../src/domain/hypervisor-verbs.js';
import type { VmId } from '../../src/domain/ids.js';
import type { XmlNodeElement } from '../../src/util/xml-edit.js';
import { edited, parsedForEdit } from './fake-xml.js';
import { wrongState } from './fake-world.js';
import type { FakeWorld } from './fake-world.js';

export class FakeMetadata implements MetadataCalls {
  constructor(private readonly world: FakeWorld) {}

  async get(id: VmId, uri: string, from: 'live' | 'definition'): Promise<string | undefined> {
    const domain = await this.world.enterDomain('metadata.get', id, { uri, from });
    if (from === 'live' && !domain.active) throw wrongState('domain is not running');
    const xml = from === 'live' ? domain.live : domain.definition;
    if (xml === undefined) throw wrongState('transient domains do not have any persistent config');
    const domainElement = parsedForEdit(xml);
    const element = find(domainElement, uri);
    if (!element) return undefined;
    const prefix = prefixOf(element);
    element.attributes.delete(prefix === '' ? 'xmlns' : `xmlns:${prefix}`);
    rename(element, (name) => (prefixIn(name) === prefix ? local(name) : name));
    return element.toString();
  }

  async set(
    id: VmId,
    element: { readonly uri: string; readonly prefix: string; readonly xml: string | undefined },
    into: 'both' | 'definition',
  ): Promise<void> {
    const domain = await this.world.enterDomain('metadata.set', id, { ...element, into });
    if (into === 'definition' && domain.definition === undefined) {
      throw wrongState('transient domains do not have any persistent config');
    }
    const change = (xml: XmlNodeElement): void => replace(xml, element);
    if (domain.definition !== undefined) domain.definition = edited(domain.definition, change);
    if (into === 'both' && domain.live !== undefined) domain.live = edited(domain.live, change);
    this.world.emit(id, { kind: 'metadata-change', uri: element.uri });
  }
}

function replace(
  domain: XmlNodeElement,
  { uri, prefix, xml }: { readonly uri: string; readonly prefix: string; readonly xml: string | undefined },
): void {
  const holder = domain.ensure('metadata');
  const old = find(domain, uri);
  if (old) holder.remove(old);
  if (xml === undefined) return;
  let added: XmlNodeElement;
  try {
    added = parsedForEdit(xml);
  } catch (error) {
    throw new HypervisorError('failed', 'XML document failed to validate: invalid XML', { cause: error });
  }
  rename(added, (name) => (name.includes(':') ? name : `${prefix}:${name}`));
  added.attributes.set(`xmlns:${prefix}`, uri);
  holder.append(added);
}

function find(domain: XmlNodeElement, uri: string): XmlNodeElement | undefined {
  const holder = domain.child('metadata');
  return holder?.children().find((element) => {
    const prefix = prefixOf(element);
    const declaration = prefix === '' ? 'xmlns' : `xmlns:${prefix}`;
    const scope = [element, holder, domain].find((each) => each.attribute(declaration) !== undefined);
    return scope?.attribute(declaration) === uri;
  });
}

function rename(element: XmlNodeElement, change: (name: string) => string): void {
  element.name = change(element.name);
  for (const child of element.children()) rename(child, change);
}

function prefixOf(element: XmlNodeElement): string {
  return prefixIn(element.name);
}

function prefixIn(name: string): string {
  return name.includes(':') ? name.slice(0, name.indexOf(':')) : '';
}

function local(name: string): string {
  return name.slice(name.indexOf(':') + 1);
}
