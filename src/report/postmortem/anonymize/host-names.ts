/** Host names by their form: those with a domain, which a text may hold anywhere. */

/** Ends of names that are hosts and neither files nor Python modules. */
const TOP_LEVEL = new Set([
  ...'com net org edu gov mil biz info io dev cloud eu arpa'.split(' '),
  ...'local lan internal intranet intra corp home private localdomain test example invalid'.split(
    ' ',
  ),
  ...'ad ae af ag ai al am ao ar at au az ba bd be bg bh bo br by ca ch ci cl cm cn co cr cu cy cz'.split(
    ' ',
  ),
  ...'de dk dz ec ee eg es et fi fr ge gh gr gt hk hn hr hu id ie il in iq ir is it jm jo jp ke kg'.split(
    ' ',
  ),
  ...'kh kr kw kz lb lk lt lu lv ly ma mc mk mm mn mt mx my mz na ng ni nl no np nz om pa pe ph pk'.split(
    ' ',
  ),
  ...'pl pt qa ro rs ru sa se sg si sk sn su sv sy th tn tr tw tz ua ug uk us uy uz ve vn za zm zw'.split(
    ' ',
  ),
]);

/** Underscores and letters of any alphabet are no host's by RFC 952, and are in use. */
const DOTTED = /(?<![\p{L}\p{N}._-])[\p{L}\p{N}_-]{1,63}(?:\.[\p{L}\p{N}_-]{1,63}){1,10}/gu;
/** The one module of Salt's that ends as a host does, and sites that advice refers to. */
const NO_HOST =
  /^salt\.client\.local$|(?:^|\.)(?:github\.com|saltproject\.io|saltstack\.com|cherrypy\.dev|python\.org|pypi\.org)$/i;

export const EMAIL = /([\w.+-]{1,64})@([\p{L}\p{N}_-]{1,63}(?:\.[\p{L}\p{N}_-]{1,63}){1,10})/gu;

/**
 * A dotted word up to the last part that ends a host name: of `web01.example.com.conf` all but the
 * last; null where there is none.
 */
export function hostPartOf(dotted: string): string | null {
  const labels = dotted.split('.');
  const end = labels.findLastIndex((label) => TOP_LEVEL.has(label.toLowerCase()));
  if (end < 1) return null;
  const host = labels.slice(0, end + 1).join('.');
  return NO_HOST.test(host) ? null : host;
}

export function hostNamesIn(text: string): string[] {
  return [...text.matchAll(DOTTED)].flatMap(([dotted]) => hostPartOf(dotted) ?? []);
}

/** Replaces each host name with a domain. */
export function replaceHostNames(text: string, by: (host: string) => string): string {
  return text.replace(DOTTED, (dotted) => {
    const host = hostPartOf(dotted);
    return host === null ? dotted : by(host) + dotted.slice(host.length);
  });
}
