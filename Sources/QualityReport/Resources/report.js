for (const pair of document.querySelectorAll('.pair')) {
  const [above, below] = [pair.querySelector('.above'), pair.querySelector('.below')];
  const range = pair.querySelector('input[type=range]');
  const view = pair.querySelector('.view'), border = view.querySelector('i');
  const show = () => {
    const left = pair.querySelector('.left'), right = pair.querySelector('.right');
    above.src = left.value;
    below.src = left.options[right.selectedIndex].value;
    above.style.clipPath = 'inset(0 ' + (100 - range.value) + '% 0 0)';
    border.style.left = range.value + '%';
  };
  // The picture itself can be drawn over, too.
  const drag = event => {
    if (!event.buttons) return;
    const box = view.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    show();
  };
  view.addEventListener('pointerdown', drag);
  view.addEventListener('pointermove', drag);
  view.addEventListener('dragstart', event => event.preventDefault());
  pair.addEventListener('input', show);
  show();
}
