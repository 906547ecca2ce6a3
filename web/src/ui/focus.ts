/**
 * Keeps where the focus is before something opens above the page; what comes back puts it there again. A dialog that is
 * taken out of the page leaves it nowhere, and whoever works by keyboard would begin at the top again.
 */
export function keepFocus(): () => void {
  const before = document.activeElement;
  return () => {
    // Somebody has put it elsewhere meanwhile, and meant it.
    if (document.activeElement && document.activeElement !== document.body) return;
    const back = before instanceof HTMLElement && before !== document.body && before.isConnected ? before : document.getElementById("canvas");
    back?.focus({ preventScroll: true });
  };
}
