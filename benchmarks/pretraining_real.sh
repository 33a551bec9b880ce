#!/usr/bin/env bash
# Whether pretraining on phantoms and real data, killed twice, repeats the unbroken run: all four kinds.
# Questions of VQA-RAD, captions and lungs of COVID-19 chest x-rays and phantoms; texts of MedQuAD,
# Indiana reports and phantoms; pictures of all; boxes of lungs, blood cells (BCCD) and phantoms.
# Usage: CORPORA=FOLDER bash benchmarks/pretraining_real.sh [fairseq-train options]
# Settings: CORPORA (folder with medquad, indiana_reports, vqa-rad, covid_chestxray and bccd as they are
# distributed), RUN_DIR (default runs/pretraining_real), and those of benchmarks/pretraining_resume.sh.
set -euo pipefail
# shellcheck source=run_scripts/common.sh
source "$(dirname "$0")/../run_scripts/common.sh"
show_help "$@"
: "${RUN_DIR:=$ROOT/runs/pretraining_real}" "${DATA:=$RUN_DIR/data}" "${PHANTOM_ROWS:=1600}" "${SIDE:=128}"
PARTS="$RUN_DIR/parts"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}

# corpus KIND NAME SOURCE [OPTION ...]
corpus() {
  run python -m "data_utils.pretraining.$1" "$2" "$CORPORA/$3" --output "$PARTS/$1-$2-${3%%/*}" \
    --valid-share 0.1 "${@:4}"
}

# join FILE KIND: the phantoms' rows of a split, then those of every corpus of the kind.
join() {
  cat "$PARTS/phantoms/$1.tsv" "$PARTS/$2"-*/train.tsv >"$DATA/$1.tsv"
  local valid="valid_$1.tsv"
  [ "$1" != train ] || valid=valid.tsv
  cat "$PARTS/phantoms/$valid" "$PARTS/$2"-*/valid.tsv >"$DATA/$valid"
}

# infilling FILE: the middle's codes of the small tokenizer, for phantoms, too.
infilling() {
  run biomedgpt image-codes extract --cpu --num-workers 0 --input "$DATA/$1.tsv" --selected-cols 0,1 \
    --pretrain --on-bad-row skip --output "$DATA/$1.tsv"
}

prepare() {
  local pictures=(--max-side "$SIDE" --encoding jpeg)
  : "${CORPORA:?name the folder of the data sets: CORPORA=FOLDER}"
  run biomedgpt phantoms --task pretrain --output "$PARTS/phantoms" --train "$PHANTOM_ROWS" \
    --valid $((PHANTOM_ROWS / 10 + 1)) --test 0 --size 64 --num-codes 256 --seed "$SEED"
  corpus pairs vqa_rad vqa-rad "${pictures[@]}"
  corpus pairs covid_chestxray covid_chestxray "${pictures[@]}"
  corpus pairs covid_lungs covid_chestxray "${pictures[@]}"
  corpus texts medquad medquad
  corpus texts indiana_reports indiana_reports/indiana_dev.json
  corpus boxes bccd bccd "${pictures[@]}"
  corpus boxes covid_lungs covid_chestxray "${pictures[@]}"
  corpus pictures folder vqa-rad/images
  corpus pictures folder covid_chestxray/images --only "$CORPORA/covid_chestxray/train_images.txt"
  corpus pictures folder bccd/JPEGImages --only "$CORPORA/bccd/ImageSets/Main/train.txt"
  [ "$DRY_RUN" != 1 ] || return 0
  mkdir -p "$DATA"
  join train pairs
  join text texts
  join detection boxes
  for name in image valid_image; do cut -f 1,2 "$PARTS/phantoms/$name.tsv" >"$PARTS/$name"; done
  cat "$PARTS/image" "$PARTS"/pictures-*/train.tsv >"$DATA/image.tsv"
  cat "$PARTS/valid_image" "$PARTS"/pictures-*/valid.tsv >"$DATA/valid_image.tsv"
  infilling image
  infilling valid_image
  run python -m data_utils.pretraining.negatives "$DATA/train.tsv" --output "$DATA/negatives"
  { cut -f 3-6 "$DATA/train.tsv" | tr '\t' '\n' | sed 's/[0-9.]*|!+//g'; cut -f 2 "$DATA/text.tsv"; } \
    >"$DATA/corpus.txt"
}

[ -f "$DATA/corpus.txt" ] || ! wants data || prepare
PHANTOMS='' VOCAB_SIZE=${VOCAB_SIZE:-4000} RUN_DIR=$RUN_DIR DATA=$DATA EPOCHS=${EPOCHS:-8} MODE=$MODE SEED=$SEED \
  DRY_RUN=$DRY_RUN bash "$ROOT/benchmarks/pretraining_resume.sh" "$@"
