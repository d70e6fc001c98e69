/** Handlers of title, description and elements of `<metadata>`, in the running domain and in its definition. */
import { MetadataType } from '../libvirt/enumerations.js';
import { affected, changeConfig, configOf } from './affect.js';
import type { Handlers } from './call.js';
import type { DomainConfig } from './domain-config.js';
import { metadataChange } from './events.js';
import { Fault } from './fault.js';
import { parseMetadataElement } from './metadata-xml.js';

export const metadataQueries = {
  DOMAIN_GET_METADATA(call, { dom, type, uri, flags }) {
    const config = configOf(call.domain(dom), flags);
    const text =
      type === MetadataType.description
        ? config.description
        : type === MetadataType.title
          ? config.title
          : config.metadata.get(uri ?? '')?.xml;
    if (text === undefined) throw new Fault('no-metadata', 'Requested metadata element is not present');
    return { metadata: text };
  },
} as const satisfies Handlers;

export const metadataHandlers = {
  DOMAIN_SET_METADATA(call, { dom, type, metadata, key, uri, flags }) {
    const domain = call.domain(dom);
    if (!Object.values<number>(MetadataType).includes(type)) {
      throw new Fault('invalid-argument', `unknown metadata type '${type}'`);
    }
    return call.withQuietChange(domain, () => {
      changeConfig(domain, affected(domain, flags), (config) => {
        if (type === MetadataType.element) return withElement(config, { metadata, key, uri });
        return withText(config, type === MetadataType.title ? 'title' : 'description', metadata);
      });
      call.host.emit(domain, metadataChange(type, type === MetadataType.element ? uri : undefined));
    });
  },
} as const satisfies Handlers;

const PREFIX = /^[A-Za-z_][\w.-]*$/;

interface ElementChange {
  readonly metadata: string | undefined;
  readonly key: string | undefined;
  readonly uri: string | undefined;
}

function withElement(config: DomainConfig, { metadata, key, uri }: ElementChange): DomainConfig {
  if (uri === undefined || (metadata !== undefined && key === undefined)) {
    throw new Fault('invalid-argument', 'a metadata element needs key and uri');
  }
  if (key !== undefined && metadata !== undefined && !PREFIX.test(key)) {
    throw new Fault('invalid-argument', `'${key}' is no prefix of a namespace`);
  }
  const elements = new Map(config.metadata);
  if (metadata === undefined || key === undefined) elements.delete(uri);
  else elements.set(uri, parseMetadataElement(metadata, key));
  return { ...config, metadata: elements };
}

function withText(
  config: DomainConfig,
  name: 'title' | 'description',
  text: string | undefined,
): DomainConfig {
  const { [name]: _old, ...others } = config;
  return text === undefined || text === '' ? others : { ...others, [name]: text };
}
