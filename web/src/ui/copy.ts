/**
 * Text to the clipboard. Pages that come over plain HTTP from another machine have no `navigator.clipboard`; the older command
 * works there, as long as it is asked for by a key or a click. False where the browser forbids both.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyByCommand(text);
  }
}

function copyByCommand(text: string): boolean {
  let done = false;
  const give = (event: ClipboardEvent) => {
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    event.stopImmediatePropagation();
    done = true;
  };
  document.addEventListener("copy", give, true);
  try {
    document.execCommand("copy");
  } finally {
    document.removeEventListener("copy", give, true);
  }
  return done;
}
