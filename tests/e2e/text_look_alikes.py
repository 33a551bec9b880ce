"""Small sources in the layouts of the data sets of texts, which data_utils/ describes."""

from __future__ import annotations

import json
from pathlib import Path

from look_alikes import (
    DRAWN,
    QUARTERS,
    TEST,
    Builder,
    by_split,
    numbered,
    sentence,
    write,
    write_csv,
)


def meqsum(folder: Path) -> dict[str, str]:
    made = by_split("train", "val", "test", lambda n: f"{sentence(n)} Why?\tWhy case {n}?")
    for name, lines in made.items():
        write(folder / f"{name}.tsv", *lines)
    return {"SOURCE": str(folder)}


def dialogues(path: Path) -> dict[str, str]:
    for number in range(DRAWN):
        lines = (f"id={number}", f"https://www.example.org/{number}", "Description")
        lines += (f"Q. What helps against cough {number}?", "Dialogue", "Patient:")
        lines += (sentence(number), "", "Doctor:", f"Drink tea {number}.", "")
        with path.open("a", encoding="utf-8") as stream:
            stream.write("\n".join(lines) + "\n")
    return {"SOURCE": str(path.parent), **QUARTERS}


def healthcaremagic(folder: Path) -> dict[str, str]:
    return dialogues(folder / "healthcaremagic_dialogue_1.txt")


def icliniq(folder: Path) -> dict[str, str]:
    return dialogues(folder / "icliniq_dialogue.txt")


def report(number: int) -> str:
    return f"FINAL REPORT\n FINDINGS: {sentence(number)}\n\n IMPRESSION: Case {number} is normal.\n"


def indiana_reports(folder: Path) -> dict[str, str]:
    rows = [
        {"study_id": n, "findings": sentence(n), "impression": f"Case {n} is normal."}
        for n in range(DRAWN)
    ]
    write(folder / "indiana_dev.json", json.dumps(rows))
    return {"SOURCE": str(folder / "indiana_dev.json"), **QUARTERS}


def mimic_cxr(folder: Path) -> dict[str, str]:
    rows = []
    for name, number in numbered("train", "validate", "test"):
        write(folder / "files" / "p10" / f"p1{number:07}" / f"s5{number:07}.txt", report(number))
        rows.append((f"d{number}", f"5{number:07}", f"1{number:07}", name))
    table = folder / "mimic-cxr-2.0.0-split.csv.gz"
    write_csv(table, ("dicom_id", "study_id", "subject_id", "split"), rows)
    return {"SOURCE": str(folder), "SPLIT_LIST": str(table)}


def mimic_iii(folder: Path) -> dict[str, str]:
    columns = ("ROW_ID", "SUBJECT_ID", "CATEGORY", "DESCRIPTION", "ISERROR", "TEXT")
    rows = [(n, n, "Radiology", "CHEST (PORTABLE AP)", "", report(n)) for n in range(DRAWN)]
    write_csv(folder / "NOTEEVENTS.csv.gz", columns, rows)
    return {"SOURCE": str(folder / "NOTEEVENTS.csv.gz"), **QUARTERS}


def mednli(folder: Path) -> dict[str, str]:
    labels = ("entailment", "contradiction", "neutral")

    def make(number: int) -> str:
        pair = {"sentence1": sentence(number), "sentence2": "The patient is ill."}
        return json.dumps({"pairID": f"p{number}", "gold_label": labels[number % 3]} | pair)

    for name, lines in by_split("train", "dev", "test", make).items():
        write(folder / f"mli_{name}_v1.jsonl", *lines)
    return {"SOURCE": str(folder)}


def rqe(folder: Path) -> dict[str, str]:
    def make(number: int) -> str:
        value = ("true", "false")[number % 2]
        texts = f"<chq>{sentence(number)} Why?</chq><faq>Why {number}?</faq>"
        return f'<pair pid="{number}" value="{value}">{texts}</pair>'

    for name, pairs in by_split("Train", None, "Test", make).items():
        write(folder / f"RQE_{name}_AMIA2016.xml", "<rqe>", *pairs, "</rqe>")
    return {"SOURCE": str(folder)}


def pubmedqa(folder: Path) -> dict[str, str]:
    items = {
        str(n): {
            "QUESTION": f"Does tea help in case {n}?",
            "CONTEXTS": [sentence(n), "Tea was given."],
            "LONG_ANSWER": "It does.",
            "final_decision": ("yes", "no", "maybe")[n % 3],
        }
        for n in range(DRAWN)
    }
    write(folder / "ori_pqal.json", json.dumps(items))
    tests = {name: item["final_decision"] for name, item in list(items.items())[-TEST:]}
    write(folder / "test_ground_truth.json", json.dumps(tests))
    return {"SOURCE": str(folder)}


def evidence_inference(folder: Path) -> dict[str, str]:
    labels = ("significantly increased", "significantly decreased", "no significant difference")
    splits = list(numbered("train", "validation", "test"))
    for name in dict(splits):
        ids = [str(number) for split, number in splits if split == name]
        write(folder / "splits" / f"ev2_{name}_article_ids.txt", *ids)
    prompts = [(n, n, "Pain", f"Tea {n}", "Water") for _, n in splits]
    columns = ("PromptID", "PMCID", "Outcome", "Intervention", "Comparator")
    write_csv(folder / "prompts_merged.csv", columns, prompts)
    rows = [(n, n, labels[n % 3], sentence(n)) for _, n in splits]
    write_csv(folder / "v2_annotations.csv", ("PromptID", "PMCID", "Label", "Annotations"), rows)
    return {"SOURCE": str(folder)}


def trec_trials(folder: Path) -> dict[str, str]:
    for number in range(3):
        texts = f"<brief_title>Trial {number}</brief_title><brief_summary><textblock>Tea {number}."
        trial = f"<clinical_study>{texts}</textblock></brief_summary></clinical_study>"
        write(folder / "trials" / f"NCT0000000{number}.xml", trial)
    patients = range(DRAWN // 2)
    topics = [f'<topic number="{n}">{sentence(n)}</topic>' for n in patients]
    write(folder / "topics2022.xml", "<topics>", *topics, "</topics>")
    write(
        folder / "qrels2022.txt", *(f"{n} 0 NCT0000000{k} {k}" for n in patients for k in range(3))
    )
    return {"SOURCE": str(folder), **QUARTERS}


def seer(folder: Path) -> dict[str, str]:
    columns = ["Patient ID", "Sex", "Age", "RX Summ--Surg Prim Site (1998+)", "Radiation recode"]
    columns.append("Chemotherapy recode (yes, no/unk)")
    treatments = (("30", "Beam radiation", "Yes"), ("00", "None/Unknown", "No/Unknown"))
    rows = [(n, "Female", 40 + n // 2, *treatments[n % 2]) for n in range(DRAWN)]
    write_csv(folder / "export.csv", columns, rows)
    return {"SOURCE": str(folder / "export.csv"), **QUARTERS}


def mortality(folder: Path) -> dict[str, str]:
    made = by_split("train", "val", "test", lambda n: (n, f"CHIEF COMPLAINT: {sentence(n)}", n % 2))
    for name, rows in made.items():
        path = folder / f"MP_IN_adm_{name}.csv"
        write_csv(path, ("id", "text", "hospital_expire_flag"), rows)
    return {"SOURCE": str(folder)}


TEXT_SETS: dict[str, Builder] = {
    "gigaword/meqsum": meqsum,
    "gigaword/healthcaremagic": healthcaremagic,
    "gigaword/icliniq": icliniq,
    "gigaword/indiana_reports": indiana_reports,
    "gigaword/mimic_cxr": mimic_cxr,
    "gigaword/mimic_iii": mimic_iii,
    "mnli/mednli": mednli,
    "mnli/rqe": rqe,
    "text_classify/pubmedqa": pubmedqa,
    "text_classify/evidence_inference": evidence_inference,
    "text_classify/trec_trials": trec_trials,
    "text_classify/seer": seer,
    "text_classify/mortality": mortality,
}
"""By the name of the script."""
