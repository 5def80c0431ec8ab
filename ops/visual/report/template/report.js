// What a click on a class, a pair or a number of the comparison opens; frames in the cards.

function videosOf({ label, predicted, outcome, folder = 0 }) {
  return videoNumbers.filter((video) => {
    if (label !== undefined && labels[video] !== label) return false;
    if (predicted !== undefined && answer(folder, video) !== predicted) return false;
    return outcome === undefined || [...outcome].every((right, part) => isRight(part, video) === (right === "1"));
  });
}

const OUTCOMES = { 11: "both right", 10: "only the first right", "01": "only the second right", "00": "both wrong" };

function openPair(label, predicted, folder) {
  const scores = data.folders.length > 1 ? ` (${data.folders[folder]})` : "";
  const title = label === predicted ? `${data.classes[label]}, right` : `${data.classes[label]}, taken for ${data.classes[predicted]}`;
  showVideos(title + scores, videosOf({ label, predicted, folder }), folder);
}

document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-class], [data-true], [data-outcome], [data-all]");
  if (place === null) return;
  const { class: name, true: label, predicted, outcome, folder } = place.dataset;
  if (label !== undefined) return openPair(Number(label), Number(predicted), Number(folder ?? data.folders.length - 1));
  const words = [];
  if (name !== undefined) words.push(data.classes[Number(name)]);
  if (outcome !== undefined) words.push(OUTCOMES[outcome]);
  const wanted = { label: name === undefined ? undefined : Number(name), outcome };
  showVideos(words.join(", ") || "All videos", videosOf(wanted), outcome === "10" ? 1 : 0);
});

for (const card of document.querySelectorAll(".card")) {
  for (const number of card.dataset.videos.split(" ").filter(Boolean)) {
    const video = Number(number);
    const said = data.folders.map((_, folder) => {
      const tone = isRight(folder, video) ? "right" : "wrong";
      return element("span", { className: tone }, `${data.classes[answer(folder, video)]} ${percent(confidence(folder, video) / data.scale)}`);
    });
    const caption = element("figcaption", {}, ...said.flatMap((each, place) => (place ? [" → ", each] : [each])));
    const strip = data.strips[video];
    const what = strip ? element("img", { src: strip, alt: `frames of ${fileName(video)}`, title: fileName(video) }) : element("div", { className: "small soft" }, fileName(video));
    card.append(element("figure", {}, what, caption));
  }
}

new Matrix(document.getElementById("matrix"), openPair);
