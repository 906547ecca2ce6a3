/** Where the server is: below the path that the page was loaded from, which a proxy may have put before it. */

/** The path of the server, with a slash at its end. The page says it with `<base>` where it is not the page's own. */
export const HERE = typeof document === "undefined" ? "/" : new URL(".", document.baseURI).pathname;

/** What the browser asks for: `/api/v1/queue` of a server below `/studio` is `/studio/api/v1/queue`; others are left. */
export function reached(address: string, here = HERE): string {
  return address.startsWith("/api/") ? here + address.slice(1) : address;
}
