/**
 * The few texts of UPnP (Device Architecture 1.1, WANIPConnection 1 and 2) that mapping a port takes. Everything read is a
 * router's word: it is searched, never parsed as XML, so entities, nesting and namespaces cannot do anything.
 */

/** What is searched for; a router of version 2 answers to version 1, too. */
export const SSDP_TARGET = 'urn:schemas-upnp-org:device:InternetGatewayDevice:1';
const SERVICE = /^urn:schemas-upnp-org:service:(?:WANIPConnection:[12]|WANPPPConnection:1)$/;
/** Services looked at in one description. */
const SERVICES_MAX = 64;
const NAME_MAX_CHARS = 64;

/** A service that maps ports. */
export interface WanService {
  readonly type: string;
  /** As written: absolute or relative to the description. */
  readonly controlUrl: string;
}

export interface Description {
  /** Whose router it is, in printable ASCII. */
  readonly name?: string;
  readonly services: readonly WanService[];
}

/** M-SEARCH of UPnP Device Architecture 1.1 section 1.3.2. */
export function encodeSearch(host: string): Buffer {
  const lines = [
    'M-SEARCH * HTTP/1.1',
    `HOST: ${host}:1900`,
    'MAN: "ssdp:discover"',
    'MX: 1',
    `ST: ${SSDP_TARGET}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** The LOCATION of an answer to a search; undefined if it is none. */
export function decodeSearchAnswer(data: Uint8Array): string | undefined {
  if (data.length > 2048) return undefined;
  const [status = '', ...headers] = Buffer.from(data).toString('latin1').split('\r\n');
  if (!/^HTTP\/1\.[01] 200(?: |$)/.test(status)) return undefined;
  for (const header of headers) {
    const colon = header.indexOf(':');
    if (header.slice(0, colon).toLowerCase() === 'location') return header.slice(colon + 1).trim();
  }
  return undefined;
}

/** Text between the first `<name>` and the next `</name>` behind `from`, and where it ended. */
function element(
  text: string,
  name: string,
  from = 0,
): { readonly inner: string; readonly end: number } | undefined {
  const open = text.indexOf(`<${name}>`, from);
  if (open < 0) return undefined;
  const begin = open + name.length + 2;
  const close = text.indexOf(`</${name}>`, begin);
  return close < 0 ? undefined : { inner: text.slice(begin, close), end: close + name.length + 3 };
}

/** Services that map ports, and the router's name, of a device description. */
export function readDescription(xml: string): Description {
  const services: WanService[] = [];
  let at = 0;
  for (let count = 0; count < SERVICES_MAX; count++) {
    const found = element(xml, 'service', at);
    if (!found) break;
    at = found.end;
    const type = element(found.inner, 'serviceType')?.inner.trim() ?? '';
    const controlUrl = plain(element(found.inner, 'controlURL')?.inner.trim() ?? '');
    if (SERVICE.test(type) && controlUrl !== '') services.push({ type, controlUrl });
  }
  const name = plain(element(xml, 'friendlyName')?.inner ?? '')
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, NAME_MAX_CHARS);
  return { ...(name !== '' && { name }), services };
}

/** The five entities that every XML has; no other means anything here. */
function plain(text: string): string {
  const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
  return text.replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => entities[name] ?? '');
}

function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** The SOAP body of one action; values are texts and numbers of ours. */
export function encodeAction(
  type: string,
  action: string,
  values: Readonly<Record<string, string | number>>,
): string {
  const fields = Object.entries(values).map(
    ([name, value]) => `<${name}>${escaped(String(value))}</${name}>`,
  );
  return (
    '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>' +
    `<u:${action} xmlns:u="${escaped(type)}">${fields.join('')}</u:${action}></s:Body></s:Envelope>`
  );
}

/** One value of a SOAP answer. */
export function readValue(xml: string, name: string): string | undefined {
  return element(xml, name)?.inner.trim();
}

/** The number of a UPnP error (718: port taken; 725: only mappings without end); undefined where there is none. */
export function readErrorCode(xml: string): number | undefined {
  const code = Number(readValue(xml, 'errorCode'));
  return Number.isInteger(code) && code > 0 && code < 1000 ? code : undefined;
}
