/** Reports that the last attempt failed; the form itself needs no script. */

if (location.search === '?wrong') {
  const wrong = document.getElementById('wrong');
  if (wrong) wrong.hidden = false;
}
